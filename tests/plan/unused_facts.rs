//! Facts that an earlier planner took and made nothing of: each has to show in what is issued, or be
//! refused.

use tlbc::model::Config;
use tlbc::source::Files;
use tlbc::trace::{AddressRange, Event, Query, Tables, UnmappedEntries, trace};
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
        event: Event::Unmapped(UnmappedEntries {
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

/// Returns the operands of what this CPU issues for large pages from 2 MiB on, without the barriers.
fn large_pages(analysis: &Analysis, features: u32, bytes: u64) -> Vec<u128> {
    let query = Query {
        config: Config {
            features,
            ..Config::default()
        },
        limits: Vec::new(),
        space: Space::User,
        event: Event::Unmapped(UnmappedEntries {
            ranges: vec![AddressRange {
                extent: Extent::new(0x20_0000, bytes),
                levels: vec![1],
            }],
            tables: Tables::Kept,
            stored: true,
        }),
        tag: Tag::default(),
        others: false,
    };
    let trace = trace(&analysis.model, &analysis.plans, &query).unwrap();
    let operands = trace
        .issued()
        .filter_map(|i| Some(i.operands.first()?.value.0));
    operands.collect()
}

/// Entries of a level that the policy leaves out are flushed in steps of the next lower stride, without the hint of either
/// level.
#[test]
fn a_level_without_a_stride_is_flushed_at_the_next_lower_one() {
    let stated = "strides pte, pmd, pud;";
    let text = shipped("arm64.arch");
    assert!(text.contains(stated));
    let own = compiled(&text).unwrap();
    let ttl = own
        .model
        .features
        .iter()
        .position(|it| it.named.name == "ttl");
    let ttl = 1 << ttl.unwrap();
    let hint = |operand: u128| operand >> 44 & 0xf;
    let of_one = large_pages(&own, ttl, 0x20_0000);
    assert_eq!(of_one.len(), 1);
    assert_eq!(hint(of_one[0]), 0b0110, "of 4 KiB pages, level 2");

    let merged = text.replace(stated, "strides pte, pud;");
    let of_one = large_pages(&compiled(&merged).unwrap(), ttl, 0x20_0000);
    assert_eq!(of_one.len(), 1, "its 512 pages exceed the ceiling");
    let merged = merged.replace("ceiling 511 operations", "ceiling 512 operations");
    let of_one = large_pages(&compiled(&merged).unwrap(), ttl, 0x20_0000);
    assert_eq!(of_one.len(), 512);
    for (page, operand) in (0x200..).zip(of_one) {
        assert_eq!((operand & 0xfff_ffff_ffff, hint(operand)), (page, 0));
    }
}

/// The smallest pages need a stride, and so do those that only an instruction for their level invalidates.
#[test]
fn strides_that_lose_entries_are_refused() {
    let refused = |name: &str, stated: &str| {
        let text = shipped(name);
        let changed = text.replace("strides pte, pmd, pud;", stated);
        assert_ne!(changed, text);
        compiled(&changed).err().unwrap_or_default()
    };
    for name in ["arm64.arch", "x86_64.arch"] {
        assert_eq!(refused(name, "strides pte;"), "");
        let left_out = refused(name, "strides pmd, pud;");
        assert!(
            left_out.contains(
                "error[E0604]: `strides` leaves out `pte`, which may map the smallest pages"
            ),
            "{left_out}"
        );
    }
    // `tlbie` invalidates entries of the page size that it names.
    let left_out = refused("powerpc64.arch", "strides pte, pud;");
    assert!(
        left_out.contains(
            "error[E0604]: `strides` leaves out `pmd`, whose entries no instruction invalidates"
        ),
        "{left_out}"
    );
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
