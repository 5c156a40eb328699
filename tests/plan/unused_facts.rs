//! Facts that an earlier planner took and made nothing of: each has to show in what is issued, or be
//! refused.

use tlbc::model::Config;
use tlbc::source::Files;
use tlbc::trace::{AddressRange, Event, Query, Tables, Unmapped, trace};
use tlbc::{Analysis, analyse, render};
use tlbc_runtime::request::{Extent, Space, Tag};

fn shipped(name: &str) -> String {
    let path = format!("{}/../archdefs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn compiled(text: &str) -> Result<Analysis, String> {
    let mut files = Files::default();
    let file = files.add("changed.arch", text);
    let (analysis, found) = analyse(&files, file);
    analysis.ok_or_else(|| render::render(&files, &found, render::Format::Short, false))
}

/// The names of what this CPU issues for one kernel page.
fn kernel_page(analysis: &Analysis, features: &[&str], errata: &[&str]) -> Vec<String> {
    let model = &analysis.model;
    let bits = |names: &[&str], all: Vec<&str>| {
        names.iter().fold(0, |bits, name| {
            bits | 1u32 << all.iter().position(|known| known == name).unwrap()
        })
    };
    let features_of = model.features.iter().map(|f| f.named.name.as_str());
    let errata_of = model.errata.iter().map(|e| e.named.name.as_str());
    let query = Query {
        config: Config {
            features: bits(features, features_of.collect()),
            errata: bits(errata, errata_of.collect()),
            geometry: 0,
        },
        limits: model.limits.iter().map(|limit| limit.least).collect(),
        space: Space::Kernel,
        event: Event::Unmapped(Unmapped {
            ranges: vec![AddressRange {
                extent: Extent::new(0xffff_8000_0000_0000, 0x1000),
                levels: vec![0],
            }],
            tables: Tables::Kept,
            stored: true,
        }),
        tag: Tag::default(),
        others: false,
    };
    let trace = trace(model, &analysis.plans, &query).unwrap();
    trace.issued().map(|i| i.name.clone()).collect()
}

/// An instruction that an erratum weakens may be used if the workaround restores the lost fact; the workaround is issued
/// after it.
#[test]
fn the_workaround_of_an_instruction_is_issued() {
    let text = shipped("x86_64.arch");
    let weakens = "weakens invlpg: not global when pcid;";
    let with = text.replace(
        weakens,
        &format!("{weakens} workaround after invlpg issue mov_cr4;"),
    );
    assert_ne!(with, text);
    // It needs CR4.PGE, as the workaround does.
    let with = with.replace("while PCIDs are on\" {", "while PCIDs are on\" needs pge {");
    let analysis = compiled(&with).unwrap();
    let names = kernel_page(&analysis, &["pge", "pcid"], &["alder_lake_invlpg"]);
    assert_eq!(names[0], "invlpg");
    assert!(names[1..].iter().all(|name| name == "mov_cr4") && names.len() > 1);
    let without = kernel_page(&analysis, &["pge", "pcid"], &[]);
    assert_eq!(without, ["invlpg"]);
}

/// Plans are made for all page sizes at once, so their facts must not depend on the page size.
#[test]
fn what_is_dropped_does_not_depend_on_the_page_size() {
    let text = shipped("arm64.arch");
    let changed = text.replace("unless hinted;", "when not hinted and not g64k;");
    assert_ne!(changed, text);
    let found = compiled(&changed).unwrap_err();
    assert!(
        found.contains("E0207") && found.contains("geometry"),
        "{found}"
    );
}

/// A space that can be flushed only under per-CPU tags is not flushed by a broadcast under every tag.
#[test]
fn per_cpu_tags_take_ipis() {
    let text = shipped("x86_64.arch");
    let start = text.find("    tag shared when invlpgb {").unwrap();
    let end = start + text[start..].find("    }\n").unwrap() + "    }\n".len();
    let text = format!("{}{}", &text[..start], &text[end..]);
    let text = text.replace("under slot or shared", "under slot");
    let text = text.replace("shootdown ipi, broadcast when invlpgb;", "");
    match compiled(&text) {
        Ok(analysis) => {
            let targets = analysis
                .plans
                .get(tlbc::plan::ir::Shape::IpiTargets(Space::User))
                .unwrap();
            let mut direct = false;
            targets.body.walk(&mut |node| {
                direct |= matches!(node, tlbc::plan::ir::Node::Nothing(_));
            });
            assert!(!direct, "{:?}", targets.body);
        }
        // The form that compares a tag has none left to compare.
        Err(found) => assert!(found.contains("E0405"), "{found}"),
    }
}
