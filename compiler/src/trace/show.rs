//! The text and the JSON of a trace.
//!
//! In: a [`Trace`]. Out: its text, without the title, or one line of JSON. Holds: both contain the same information.

use std::fmt::Write as _;

use super::response::{
    BarrierRole, Becomes, Deferred, Ipi, LoadedRoot, Operand, Step, Store, Target, Trace,
};
use crate::json;

/// Returns the text: one line for each instruction of the machine, with the fields of its operands.
#[must_use]
pub fn text(trace: &Trace) -> String {
    let mut out = String::new();
    for note in &trace.notes {
        let _ = writeln!(out, "note: {note}");
    }
    out.push_str("here:\n");
    section(&mut out, trace, &trace.here, "(nothing is issued)");
    for ipi in &trace.ipis {
        let targets = ipi.targets.iter();
        let targets = targets.map(|target| format!("{} ({})", target.words(), target.reason));
        let targets: Vec<String> = targets.collect();
        if ipi.calls.is_empty() {
            let _ = writeln!(out, "IPI to {}:", targets.join(", "));
        } else {
            let _ = writeln!(out, "calls for {}:", targets.join(", "));
            section(&mut out, trace, &ipi.calls, "");
            out.push_str("IPI to those of them that the calls do not reach:\n");
        }
        if let Some(tag) = &ipi.own_tag {
            let _ = writeln!(out, "  (each uses its own value of `{tag}`)");
        }
        let none = "(nothing is issued: taking the interrupt is enough)";
        section(&mut out, trace, &ipi.steps, none);
    }
    if trace.ipis.is_empty() {
        out.push_str("IPI:\n  (none)\n");
    }
    out.push_str("deferred:\n");
    for deferred in &trace.deferred {
        let Deferred {
            cpus,
            entries,
            until,
        } = deferred;
        let (cpus, entries, until) = (cpus.words(), entries.words(), until.words());
        let _ = writeln!(out, "  {cpus}: {entries}, until {until}");
    }
    if trace.deferred.is_empty() {
        out.push_str("  (nothing)\n");
    }
    if let Some(why) = &trace.why {
        out.push_str(&why.text());
    }
    out
}

/// Returns one JSON object, which `compiler/schema/trace.schema.json` describes.
#[must_use]
pub fn json(trace: &Trace) -> String {
    json::text(trace)
}

/// A line, and the remark beside it.
type Line = (String, String);

fn section(out: &mut String, trace: &Trace, steps: &[Step], none: &str) {
    if steps.is_empty() {
        let _ = writeln!(out, "  {none}");
    }
    let lines: Vec<Line> = steps.iter().flat_map(|step| lines(trace, step)).collect();
    let beside = lines.iter().filter(|(_, beside)| !beside.is_empty());
    let width = beside.map(|(line, _)| line.len()).max().unwrap_or(0);
    for (line, beside) in lines {
        let line = format!("  {line:width$}  {beside}");
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

fn lines(trace: &Trace, step: &Step) -> Vec<Line> {
    let instruction = match step {
        Step::Store(store) => return vec![(stored(store), String::new())],
        Step::Ipi { ipi } => {
            let ipi = trace.ipis.get(*ipi).map_or(String::new(), reached);
            return vec![(format!("({ipi})"), String::new())];
        }
        Step::Barrier { instruction, .. }
        | Step::Invalidate { instruction, .. }
        | Step::Load { instruction, .. } => instruction,
    };
    let mut beside = vec![Vec::new(); instruction.asm.len()];
    for it in &instruction.operands {
        // An operand is shown on the line that contains it; on the first if none does.
        let value = it.value.to_string();
        let names = |line: &String| {
            line.split([' ', ',', '[', ']', '(', ')'])
                .any(|w| w == value)
        };
        let line = instruction.asm.iter().position(names).unwrap_or(0);
        beside[line].push(operand(it));
    }
    if let Some(first) = beside.first_mut() {
        first.extend(role(step));
    }
    let lines = instruction.asm.iter().cloned();
    let beside = beside.iter().map(|words| words.join("  "));
    lines.zip(beside).collect()
}

/// Returns in words how the targets of an IPI are reached.
fn reached(ipi: &Ipi) -> String {
    let names: Vec<String> = ipi.targets.iter().map(Target::words).collect();
    let names = names.join(", ");
    if ipi.calls.is_empty() {
        format!("IPI to {names}")
    } else {
        format!("calls for {names}, and IPI to those that the calls do not reach")
    }
}

fn stored(store: &Store) -> String {
    let Store {
        level,
        start,
        entries,
        becomes,
    } = store;
    let entries = match entries {
        1 => format!("1 {level} entry"),
        count => format!("{count} {level} entries"),
    };
    let becomes = match becomes {
        Becomes::Invalid => "invalid",
        Becomes::New => "new",
    };
    format!("(store of {entries} from {start}: {becomes})")
}

/// Returns the purpose of an instruction, if it is not the requested invalidation or load.
fn role(step: &Step) -> Option<String> {
    match step {
        Step::Barrier {
            role, workaround, ..
        } => {
            let role = match role {
                BarrierRole::Publish => "publish",
                BarrierRole::Order => "order",
                BarrierRole::Complete => "complete",
                BarrierRole::Resync => "resync",
            };
            Some(match workaround {
                Some(erratum) => format!("({role}, workaround of {erratum})"),
                None => format!("({role})"),
            })
        }
        Step::Invalidate { workaround, .. } => {
            let erratum = workaround.as_ref()?;
            Some(format!("(workaround of {erratum})"))
        }
        Step::Load {
            root: LoadedRoot::Empty,
            ..
        } => Some("(the empty root)".to_owned()),
        Step::Load { .. } | Step::Store(_) | Step::Ipi { .. } => None,
    }
}

/// Returns the text of an operand: `page=0x6700000000003 ([63:48] tag 0x6, [43:0] va[55:12] 0x3)`
fn operand(operand: &Operand) -> String {
    let Operand {
        name,
        value,
        fields,
    } = operand;
    let whole = fields.len() == 1 && fields[0].low == 0;
    let shown = fields.iter().filter(|field| field.value.0 != 0 && !whole);
    let shown = shown.map(|field| {
        let place = if field.high == field.low {
            field.high.to_string()
        } else {
            format!("{}:{}", field.high, field.low)
        };
        let value = field.value;
        match &field.source {
            Some(source) => format!("[{place}] {source} {value}"),
            None => format!("[{place}] {value}"),
        }
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() {
        format!("{name}={value}")
    } else {
        format!("{name}={value} ({})", shown.join(", "))
    }
}
