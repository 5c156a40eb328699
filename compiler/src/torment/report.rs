//! What was found, in words.

use std::fmt::Write as _;

use tlbc_machine::hardware::Left;
use tlbc_runtime::agents::Agents;
use tlbc_runtime::request::{Reach, Space};

use super::picture::{Arrow, Life, Mark, Picture, PictureRow};
use super::request::Request;
use super::run::account::{Account, entry_words};
use super::run::{Bench, Harm, NotExecuted};
use crate::model::Model;
use crate::source::Span;

/// The result of a run.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The number of requests that were executed.
    pub requests: u64,
    /// The number of machines that the planned definition does not have.
    pub incomparable: u64,
    /// The first failure.
    pub failure: Option<FailedRequest>,
}

/// A request that failed.
#[derive(Debug, Clone)]
pub struct FailedRequest {
    /// The seed of its machine.
    pub seed: u64,
    /// Whether it failed only because it has more instructions than are followed.
    pub is_too_long: bool,
    /// Why it failed, in one line.
    pub summary: String,
    /// The machine, the request, what was issued, and the entries that are left.
    pub text: String,
    /// What went wrong with the first entry that is left, in one sentence without its full stop.
    pub cause: String,
    /// The words of the definition of the hardware that are responsible, the first most, and why.
    pub places: Vec<(Span, &'static str)>,
    /// What was done about the first entry that is left: a lane for the CPU that flushes, and one for the agent that has it.
    pub picture: Picture,
}

impl FailedRequest {
    /// Executes a request. Returns the failure, if it fails.
    pub(super) fn of(bench: &Bench<'_>, request: &Request, seed: u64) -> Option<Self> {
        let result = bench.run(request);
        let left: Vec<String> = match &result {
            Ok(harm) => harm.iter().map(|harm| words(bench, harm)).collect(),
            Err(NotExecuted::NotThere(why) | NotExecuted::TooLong(why)) => vec![why.clone()],
        };
        let summary = left.first()?.clone();
        let mut text = format!("machine: {}\n", machine(bench));
        let space = match request.space {
            Space::User => "user space",
            Space::Kernel => "the kernel",
        };
        let cached = match request.reach {
            Reach::Here => "cached by this CPU only",
            Reach::Wide | Reach::Given => "cached by all CPUs",
        };
        let tag = request.tags.here;
        let _ = writeln!(
            text,
            "request: {space}, tag {tag:#x}, {cached}: {}",
            request.words
        );
        let issued = bench.words(request);
        text.push_str("this CPU issues:\n");
        // The middle of a long loop says nothing.
        for (number, line) in issued.iter().enumerate() {
            if number < 12 || number + 4 >= issued.len() {
                let _ = writeln!(text, "  {line}");
            } else if number == 12 {
                let _ = writeln!(text, "  ({} more)", issued.len() - 16);
            }
        }
        text.push_str("left:\n");
        for line in left.iter().take(8) {
            let _ = writeln!(text, "  {line}");
        }
        if left.len() > 8 {
            let _ = writeln!(text, "  ({} more)", left.len() - 8);
        }
        let harm = result.as_ref().ok().and_then(|harm| harm.first());
        let account = harm.and_then(|harm| Some((bench.account(request, harm).ok()?, harm)));
        let picture = picture(bench, request, &summary, account.as_ref());
        let (account, _) = account.unzip();
        let account = account.unwrap_or_else(|| Account {
            cause: summary.clone(),
            ..Account::default()
        });
        let _ = writeln!(text, "cause: {}", account.cause);
        Some(Self {
            seed,
            is_too_long: matches!(result, Err(NotExecuted::TooLong(_))),
            summary,
            text,
            cause: account.cause,
            places: account.places,
            picture,
        })
    }
}

/// Draws what was done about an entry; without one, only what failed.
fn picture(
    bench: &Bench<'_>,
    request: &Request,
    summary: &str,
    account: Option<&(Account, &Harm)>,
) -> Picture {
    let mut picture = Picture {
        title: summary.to_owned(),
        paragraphs: vec![
            format!("machine: {}", machine(bench)),
            format!("request: {}", request.words),
        ],
        lanes: vec!["the CPU that flushes".to_owned()],
        ..Picture::default()
    };
    let Some((account, harm)) = account else {
        return picture;
    };
    picture.paragraphs.push(format!("cause: {}", account.cause));
    let is_own = harm.agent.class == Agents::SELF;
    let other = usize::from(!is_own);
    if !is_own {
        let class = harm.agent.class.iter().next().map_or("agent", Agents::name);
        picture
            .lanes
            .push(format!("the agent with the entry: {class}"));
    }
    let row = |step: String, lane, mark, text: &str| PictureRow {
        step,
        lane,
        mark,
        text: text.to_owned(),
        place: None,
    };
    picture.rows.push(row(
        "0".to_owned(),
        other,
        Mark::Fill,
        "has filled the entry",
    ));
    // The middle of a long loop says nothing.
    let is_shown = |number: usize| number < 24 || number + 12 >= account.lines.len();
    let lines = account.lines.iter().enumerate();
    for (number, line) in lines.filter(|(number, _)| is_shown(*number)) {
        let lane = if line.is_other { other } else { 0 };
        let step = (number + 1).to_string();
        picture.rows.push(row(step, lane, line.mark, &line.text));
    }
    let sent = { picture.rows.iter() }.position(|it| it.mark == Mark::Ipi && it.lane == 0);
    picture.arrows.extend(sent.map(|from| Arrow {
        from,
        to: from + 1,
        is_late: false,
    }));
    picture.rules.push((1, "the tables change".to_owned()));
    let used = picture.rows.len();
    let last = (account.lines.len() + 1).to_string();
    picture.rows.push(row(last, other, Mark::Use, summary));
    picture.lives.push(Life {
        lane: other,
        filled: 0,
        stale: 1,
        used,
    });
    picture
}

fn machine(bench: &Bench<'_>) -> String {
    let Model {
        features,
        errata,
        geometries,
        limits,
        ..
    } = bench.hardware.model;
    let config = bench.hardware.config;
    let mut words = vec![geometries[config.geometry].named.name.clone()];
    let on = features
        .iter()
        .enumerate()
        .filter(|(index, _)| config.has(*index));
    words.extend(on.map(|(_, it)| it.named.name.clone()));
    let on = errata
        .iter()
        .enumerate()
        .filter(|(index, _)| config.suffers(*index));
    words.extend(on.map(|(_, it)| it.named.name.clone()));
    let limits = limits.iter().zip(bench.hardware.limits);
    words.extend(limits.map(|(it, value)| format!("{}={value}", it.named.name)));
    words.join(" ")
}

fn words(bench: &Bench<'_>, harm: &Harm) -> String {
    let model = bench.hardware.model;
    let Harm { agent, entry, .. } = harm;
    let class = agent.class.iter().next().map_or("no agent", Agents::name);
    let set = agent.suspect.map_or(String::new(), |set| {
        format!(" in `{}`", model.cpu_sets[set].name)
    });
    let (kind, cache) = entry_words(model, entry);
    let under = if harm.global {
        "global".to_owned()
    } else {
        format!("under tag {:#x}", harm.tag)
    };
    let why = match harm.left {
        Left::Cached => "may still be cached",
        Left::InFlight => "is gone, but accesses that it translated may not be performed yet",
    };
    format!(
        "{class}{set}: a {kind} at {:#x} in `{cache}`, {under}, {why}",
        agent.va
    )
}
