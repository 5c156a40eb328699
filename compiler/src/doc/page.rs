//! The page about an architecture.
//!
//! In: a definition with its plans, and the sources. Out: Markdown. Holds: every link leads to the picture or to a
//! heading of the page, and no two headings are equal.

use std::fmt::Write as _;

use super::issued::{TestedFlags, lines};
use super::markdown::{anchor, fenced, heading, source, table};
use super::{instructions, proved, setup};
use crate::analysis::Analysis;
use crate::describe::{self, code, plain, registers};
use crate::matrix::{Matrix, MatrixSection, marked, wants};
use crate::model::{Config, Model};
use crate::prove::Proof;
use crate::sample_requests::Sample;
use crate::source::Files;
use crate::trace::show;

/// The length, in lines, of the longest trace that is shown in full.
const MOST_LINES: usize = 40;

#[must_use]
pub fn page(analysis: &Analysis, files: &Files, proof: &Proof) -> String {
    let model = &analysis.model;
    let name = &model.arch.name;
    let matrix = Matrix::new(std::slice::from_ref(analysis), false);
    let is_shown = |section: &&MatrixSection| {
        !["Instructions", "What is issued", "Features and errata"].contains(&section.title)
    };
    let facts: Vec<&MatrixSection> = matrix.sections.iter().filter(is_shown).collect();
    let own = [
        "Picture",
        "Instructions",
        "Barriers",
        "Loads",
        "Operands",
        "Features",
        setup::TITLE,
        "Errata",
        UNCONFIRMED,
        proved::TITLE,
    ];
    let titles = own[..1].iter().copied();
    let titles = titles.chain(facts.iter().map(|section| section.title));
    let titles = titles
        .chain(own[1..].iter().copied())
        .chain(["What is issued", "Traces"]);

    let mut out = format!("# {}\n\n", marked(name));
    for line in model.doc.iter().map(|line| line.trim()) {
        // Backticks that are not in pairs mark nothing.
        let in_pairs = line.matches('`').count() % 2 == 0;
        let line = if in_pairs {
            line.to_owned()
        } else {
            plain(line)
        };
        let _ = writeln!(out, "{}", marked(&line));
    }
    let _ = writeln!(
        out,
        "\nWritten by `tlbc doc` from {}, for `target_arch = \"{}\"`. A policy is either stated in the definition or \
         derived from it. Where several conditions hold, the last counts.\n",
        code(&source(files, model.arch.span)),
        plain(&model.target_arch.value)
    );
    for title in titles {
        let _ = writeln!(out, "- [{title}](#{})", anchor(title));
    }
    let _ = write!(
        out,
        "\n## Picture\n\n![The tables and instructions of {name}]({name}.svg)\n"
    );
    for section in facts {
        heading(&mut out, section.title);
        let rows = section.rows.iter();
        let rows = rows.map(|row| [row.question.to_owned(), row.cells[0].join("\n")]);
        table(&mut out, ["", ""], rows);
    }
    instructions::write(&mut out, model, files);
    features(&mut out, model);
    setup::write(&mut out, model);
    errata(&mut out, model);
    unconfirmed(&mut out, model);
    proved::write(&mut out, model, proof);
    issued(&mut out, analysis);
    traces(&mut out, analysis, &source(files, model.arch.span));
    out
}

fn features(out: &mut String, model: &Model) {
    heading(out, "Features");
    if model.features.is_empty() {
        out.push_str("None.\n");
    } else {
        let rows = model.features.iter().map(|feature| {
            let known = match describe::known(feature.known) {
                "" => "at boot".to_owned(),
                known => known.to_owned(),
            };
            let needs = describe::cond(model, &feature.needs);
            let from = feature.from.as_ref().map(registers::read_from);
            [
                code(&feature.named.name),
                plain(&feature.named.text),
                from.unwrap_or_default(),
                known,
                needs,
            ]
        });
        table(
            out,
            ["feature", "what it is", "read from", "known", "needs"],
            rows,
        );
    }
    if !model.limits.is_empty() {
        out.push('\n');
        let rows = model.limits.iter().map(|limit| {
            let range = format!("{} to {}", limit.least, describe::number(limit.most));
            let from = limit
                .from
                .as_ref()
                .map_or(String::new(), registers::limit_from);
            [
                code(&limit.named.name),
                plain(&limit.named.text),
                from,
                range,
            ]
        });
        table(out, ["limit", "what it is", "read from", "values"], rows);
    }
    if !model.cpu_sets.is_empty() {
        out.push('\n');
        let rows = model
            .cpu_sets
            .iter()
            .map(|set| [code(&set.name), plain(&set.text)]);
        table(out, ["set of CPUs", "what it is"], rows);
    }
}

/// The title of the section of facts that no manual confirms.
const UNCONFIRMED: &str = "Facts that no manual confirms";

fn unconfirmed(out: &mut String, model: &Model) {
    heading(out, UNCONFIRMED);
    if model.unconfirmed.is_empty() {
        out.push_str("None is marked.\n");
        return;
    }
    let rows = model.unconfirmed.iter().enumerate().map(|(index, fact)| {
        let about = fact.about.iter().map(|it| describe::subject(model, *it));
        let about: Vec<String> = about.collect();
        [(index + 1).to_string(), about.join(", "), plain(&fact.text)]
    });
    table(
        out,
        ["number", "about", "the fact, and the evidence for it"],
        rows,
    );
}

fn errata(out: &mut String, model: &Model) {
    heading(out, "Errata");
    if model.errata.is_empty() {
        out.push_str("None.\n");
        return;
    }
    let rows = model.errata.iter().map(|erratum| {
        let weakens = erratum
            .weakens
            .iter()
            .map(|weakens| describe::events::weakens(model, weakens));
        let workarounds = erratum
            .workarounds
            .iter()
            .map(|workaround| describe::events::workaround(model, workaround));
        let mut workarounds: Vec<String> = workarounds.collect();
        if workarounds.is_empty() {
            let on = erratum.weakens.iter().filter_map(|weakens| weakens.on);
            workarounds.extend(
                on.map(|set| format!("an IPI to the CPUs of {}", code(&model.cpu_sets[set].name))),
            );
        }
        if workarounds.is_empty() {
            workarounds.push("none: other instructions are chosen".to_owned());
        }
        let what = format!(
            "{}{}",
            plain(&erratum.named.text),
            wants(model, &erratum.needs)
        );
        let weakens: Vec<String> = weakens.collect();
        [
            code(&erratum.named.name),
            what,
            weakens.join("\n"),
            workarounds.join("\n"),
        ]
    });
    table(
        out,
        ["erratum", "what it is", "what it weakens", "workaround"],
        rows,
    );
}

fn issued(out: &mut String, analysis: &Analysis) {
    let model = &analysis.model;
    heading(out, "What is issued");
    let flags = TestedFlags::of(analysis);
    if let Some(count) = flags.too_many() {
        let _ = writeln!(
            out,
            "What is issued depends on {count} features and errata, which are too many to list every possible machine. \
             `tlbc trace` shows what is issued on one."
        );
        return;
    }
    let _ = writeln!(
        out,
        "On every possible machine, with pages of {}. A count says how often an instruction is issued in a row. \
         \"On others as well\" means that other CPUs run the space and that one is lazy. A deferred flush is \
         completed at the given moment at the latest.",
        describe::bytes(model.geometries[0].page_shift)
    );
    for sample in samples(model) {
        let reaches: &[bool] = if sample.may_concern_others() {
            &[false, true]
        } else {
            &[false]
        };
        for &others in reaches {
            let on = match (sample.may_concern_others(), others) {
                (false, _) => "",
                (true, false) => ", on this CPU only",
                (true, true) => ", on others as well",
            };
            let _ = write!(out, "\n### {}{on}\n\n", sample.title());
            let lines = lines(analysis, &flags, sample, others).into_iter();
            let rows = lines.map(|(machine, issued)| [machine, issued.replace("; ", "\n")]);
            table(out, ["machine", "issued"], rows);
        }
    }
}

/// Returns the samples to show. Those of the entry code are omitted if the machine loads nothing there, as most do.
fn samples(model: &Model) -> impl Iterator<Item = Sample> {
    let loads = !model.return_to_user.loads.is_empty();
    Sample::ALL.into_iter().filter(move |sample| match sample {
        Sample::ReturnToUser | Sample::ReturnPending | Sample::EnterFromUser => loads,
        _ => true,
    })
}

fn traces(out: &mut String, analysis: &Analysis, file: &str) {
    let model = &analysis.model;
    heading(out, "Traces");
    out.push_str("A few requests in full, as `tlbc trace` shows them.\n");
    let plain = Config::default();
    let rich = model.with_all_features(plain);
    let configs = if plain == rich {
        vec![plain]
    } else {
        vec![plain, rich]
    };
    let wanted = samples(model)
        .filter(|sample| matches!(sample, Sample::Page | Sample::Table | Sample::KernelPage));
    for sample in wanted {
        for &config in &configs {
            let Some(answer) = sample.answer(analysis, config, true) else {
                continue;
            };
            let all = if config == plain {
                ""
            } else {
                " --features all"
            };
            let limits: Vec<u64> = model.limits.iter().map(|limit| limit.least).collect();
            let _ = write!(
                out,
                "\n{}, on others as well ({}):\n\n",
                sample.title(),
                marked(&describe::machine(model, config, &limits))
            );
            let command = format!(
                "$ tlbc trace {file} {} --cpus others{all}",
                sample.arguments(model, config)
            );
            fenced(
                out,
                &format!("{command}\n{}", shortened(&show::text(&answer))),
            );
        }
    }
}

/// Shortens a long text to its beginning and its end.
fn shortened(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= MOST_LINES {
        return lines.join("\n");
    }
    let (head, tail) = (&lines[..MOST_LINES / 2], &lines[lines.len() - 8..]);
    let left = lines.len() - head.len() - tail.len();
    format!(
        "{}\n  ... {left} more lines\n{}",
        head.join("\n"),
        tail.join("\n")
    )
}
