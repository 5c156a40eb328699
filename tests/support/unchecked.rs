//! Plans of a definition that `check` refuses.
//!
//! In: the text of a definition whose names can be resolved. Out: its plans, as if it had no errors, and the codes of the
//! errors that it has. Holds: nothing is refused but what cannot be read; requests that no instruction serves have plans that
//! do less.

use tlbc::source::Files;
use tlbc::{Analysis, check, lower, parse, plan};

/// Plans a definition, whatever `check` and the planner say.
///
/// # Errors
/// If the definition cannot be read: the messages.
pub fn planned(text: &str) -> Result<(Analysis, Vec<&'static str>), Vec<String>> {
    let mut files = Files::default();
    let file = files.add("x.arch", text);
    let (ast, mut unread) = parse::parse(&files, file);
    let model = ast.and_then(|ast| {
        let (model, names) = lower::lower(&ast);
        unread.extend(names);
        model
    });
    let model = match model {
        Some(model) if unread.is_empty() => model,
        _ => return Err(unread.into_iter().map(|it| it.message).collect()),
    };
    let mut found = check::check(&model);
    let (plans, gaps) = plan::plan(&model);
    found.extend(gaps);
    let mut codes: Vec<&str> = found.iter().map(|it| it.code.name()).collect();
    codes.sort_unstable();
    codes.dedup();
    Ok((Analysis { model, plans }, codes))
}
