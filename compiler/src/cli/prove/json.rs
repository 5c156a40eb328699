//! The results of a proof as JSON.

use super::Found;
use super::parts::milliseconds;
use crate::addresses::{Judged, Verdict};

fn claim(judged: &Judged) -> serde_json::Value {
    let (verdict, values) = match judged.verdict {
        Verdict::Proved => ("proved", None),
        Verdict::Checked(values) => ("checked", Some(values)),
        Verdict::Refuted(_) => ("refuted", None),
        Verdict::Unknown(_) => ("not decided", None),
    };
    serde_json::json!({
        "about": judged.about,
        "claim": judged.words,
        "verdict": verdict,
        "values": values,
        "earlier_run": judged.is_earlier,
    })
}

/// Returns one object about all definitions.
pub(super) fn object(found: &[Found]) -> String {
    let of = |found: &Found| {
        let (name, proof) = (&found.name, &found.proof);
        let rows = proof.rows.iter().zip(&found.depends).map(|(row, facts)| {
            let numbers = facts.iter().map(|index| index + 1);
            serde_json::json!({
                "request": row.request,
                "paths": row.paths,
                "proved": row.paths - row.failed,
                "not_proved": row.failed,
                "milliseconds": milliseconds(row.time),
                "unconfirmed": numbers.collect::<Vec<_>>(),
            })
        });
        let gaps = proof.left().map(|(gap, paths)| {
            serde_json::json!({
                "claim": gap.what(),
                "paths": paths,
                "verdict": "not proved",
                "reason": gap.reason(),
            })
        });
        let unconfirmed = found.unconfirmed.iter().enumerate();
        let unconfirmed = unconfirmed.map(|(index, (about, text))| {
            serde_json::json!({
                "number": index + 1,
                "about": about,
                "text": text,
            })
        });
        serde_json::json!({
            "arch": name,
            "paths": proof.paths(),
            "not_proved": proof.failed(),
            "requests": rows.collect::<Vec<_>>(),
            "unconfirmed": unconfirmed.collect::<Vec<_>>(),
            "gaps": gaps.collect::<Vec<_>>(),
            "addresses": found.addresses.iter().map(claim).collect::<Vec<_>>(),
        })
    };
    let all: Vec<_> = found.iter().map(of).collect();
    format!(
        "{}\n",
        serde_json::json!({ "version": 1, "definitions": all })
    )
}
