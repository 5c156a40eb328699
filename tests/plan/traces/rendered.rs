//! The text of a trace, made from its JSON alone.
//!
//! In: the object that `--format json` prints. Out: the text, without the title. Holds: every word of it is in the JSON, as a
//! value or as a name; anything else in the text of `tlbc` would be missing here.

use std::fmt::Write as _;

use serde_json::Value;

/// Returns the text.
pub fn text(json: &Value) -> String {
    let mut out = String::new();
    for note in list(&json["notes"]) {
        let _ = writeln!(out, "note: {}", word(note));
    }
    let ipis = list(&json["ipis"]);
    out += "here:\n";
    out += &steps(&json["here"], ipis, "(nothing is issued)");
    for ipi in ipis {
        if list(&ipi["calls"]).is_empty() {
            let _ = writeln!(out, "IPI to {}:", targets(ipi, true));
        } else {
            let _ = writeln!(out, "calls for {}:", targets(ipi, true));
            out += &steps(&ipi["calls"], ipis, "");
            out += "IPI to those of them that the calls do not reach:\n";
        }
        if let Some(tag) = ipi["own_tag"].as_str() {
            let _ = writeln!(out, "  (each uses its own value of `{tag}`)");
        }
        let none = "(nothing is issued: taking the interrupt is enough)";
        out += &steps(&ipi["steps"], ipis, none);
    }
    if ipis.is_empty() {
        out += "IPI:\n  (none)\n";
    }
    out += "deferred:\n";
    for it in list(&json["deferred"]) {
        out += &deferred(it);
    }
    if list(&json["deferred"]).is_empty() {
        out += "  (nothing)\n";
    }
    out
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn word(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn joined(parts: &[String], last: &str) -> String {
    match parts {
        [first @ .., end] if !first.is_empty() => format!("{}{last}{end}", first.join(", ")),
        parts => parts.concat(),
    }
}

fn steps(steps: &Value, ipis: &[Value], none: &str) -> String {
    let steps = list(steps);
    if steps.is_empty() {
        return format!("  {none}\n");
    }
    let lines: Vec<(String, String)> = steps.iter().flat_map(|step| lines(step, ipis)).collect();
    let beside = lines.iter().filter(|(_, beside)| !beside.is_empty());
    let width = beside.map(|(left, _)| left.len()).max().unwrap_or(0);
    let whole = |(left, beside): &(String, String)| {
        let line = format!("  {left:width$}  {beside}");
        format!("{}\n", line.trim_end())
    };
    lines.iter().map(whole).collect()
}

/// Returns each line of a step, with the remark beside it.
fn lines(step: &Value, ipis: &[Value]) -> Vec<(String, String)> {
    match word(&step["kind"]) {
        "store" => {
            let count = step["entries"].as_u64().expect("a number");
            let entries = if count == 1 { "entry" } else { "entries" };
            let (level, start) = (word(&step["level"]), word(&step["start"]));
            let becomes = word(&step["becomes"]);
            let line = format!("(store of {count} {level} {entries} from {start}: {becomes})");
            return vec![(line, String::new())];
        }
        "ipi" => {
            let ipi = step["ipi"].as_u64().expect("an index") as usize;
            return vec![(format!("({})", reached(&ipis[ipi])), String::new())];
        }
        _ => {}
    }
    let asm = list(&step["asm"]);
    let mut beside = vec![Vec::new(); asm.len()];
    for operand in list(&step["operands"]) {
        let value = word(&operand["value"]);
        let holds = |line: &Value| {
            let mut words = word(line).split([' ', ',', '[', ']', '(', ')']);
            words.any(|it| it == value)
        };
        let line = asm.iter().position(holds).unwrap_or(0);
        beside[line].push(operand_words(operand));
    }
    beside[0].extend(purpose(step));
    let asm = asm.iter().map(|line| word(line).to_owned());
    asm.zip(beside.iter().map(|it| it.join("  "))).collect()
}

/// Returns how the targets of an IPI are reached.
fn reached(ipi: &Value) -> String {
    let targets = targets(ipi, false);
    if list(&ipi["calls"]).is_empty() {
        format!("IPI to {targets}")
    } else {
        format!("calls for {targets}, and IPI to those that the calls do not reach")
    }
}

/// Returns the purpose of an instruction.
fn purpose(step: &Value) -> Option<String> {
    let workaround = step["workaround"].as_str();
    let workaround = workaround.map(|erratum| format!("workaround of {erratum}"));
    let root = (step["root"] == "empty").then(|| "the empty root".to_owned());
    let role = step["role"].as_str().map(str::to_owned);
    let parts: Vec<String> = [role, workaround, root].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("({})", parts.join(", ")))
}

/// Returns an operand with its fields that are not zero, unless one of them is the whole operand.
fn operand_words(operand: &Value) -> String {
    let fields = list(&operand["fields"]);
    let whole = fields.len() == 1 && fields[0]["low"] == 0;
    let fields = fields.iter().filter(|it| it["value"] != "0x0" && !whole);
    let fields = fields.map(|field| {
        let (high, low) = (&field["high"], &field["low"]);
        let bits = if high == low {
            high.to_string()
        } else {
            format!("{high}:{low}")
        };
        let value = word(&field["value"]);
        match field["source"].as_str() {
            Some(source) => format!("[{bits}] {source} {value}"),
            None => format!("[{bits}] {value}"),
        }
    });
    let fields: Vec<String> = fields.collect();
    let whole = format!("{}={}", word(&operand["name"]), word(&operand["value"]));
    if fields.is_empty() {
        whole
    } else {
        format!("{whole} ({})", fields.join(", "))
    }
}

fn targets(ipi: &Value, with_reason: bool) -> String {
    let one = |target: &Value| {
        let cpus = match word(&target["cpus"]) {
            "set" => format!("CPUs of `{}`", word(&target["set"])),
            kind => format!("{kind} CPUs"),
        };
        let reason = word(&target["reason"]);
        for by in list(&target["undrained_by"]) {
            let said = format!("`{}` of `{}`", word(&by["barrier"]), word(&by["erratum"]));
            assert!(reason.contains(&said), "{reason}");
        }
        if with_reason {
            format!("{cpus} ({reason})")
        } else {
            cpus
        }
    };
    let targets: Vec<String> = list(&ipi["targets"]).iter().map(one).collect();
    targets.join(", ")
}

fn deferred(it: &Value) -> String {
    let cpus = match word(&it["cpus"]) {
        "this_cpu" => "this CPU",
        "interrupted_cpus" => "each interrupted CPU",
        "lazy_cpus" => "lazy CPUs",
        "inactive_cpus" => "inactive CPUs",
        "another_cpu" => "another CPU",
        "faulting_cpu" => "a CPU that faults there",
        other => panic!("{other} is not known"),
    };
    let entries = &it["entries"];
    let kinds = list(&entries["kinds"]).iter();
    let kinds: Vec<String> = kinds.map(|kind| word(kind).to_owned()).collect();
    let of = match entries["of"].as_str() {
        Some("other_tags") => "under other tags".to_owned(),
        Some("user_view") => "under the user view's tag".to_owned(),
        Some("space") => "of the whole space".to_owned(),
        Some("request") => "that are flushed here, or everything under the tag".to_owned(),
        Some(other) => panic!("{other} is not known"),
        None => {
            let range = &entries["of"]["range"];
            let levels = list(&range["levels"]).iter().map(word);
            let levels: Vec<&str> = levels.collect();
            let (start, end) = (word(&range["start"]), word(&range["end"]));
            format!("of level {} at {start}..{end}", levels.join(", "))
        }
    };
    let stricter = if entries["stricter"] == true {
        " that allow less than the tables"
    } else {
        ""
    };
    let until = match word(&it["until"]) {
        "return_to_user" => "the return to user code",
        "fault" => "a fault",
        until => until,
    };
    let kinds = joined(&kinds, " and ");
    format!("  {cpus}: {kinds} entries {of}{stricter}, until {until}\n")
}
