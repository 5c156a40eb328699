//! Pages about architectures: links resolve, pictures are well formed, texts of definitions are escaped.

use crate::support::xml::{Element, elements};
use crate::support::{names_in, root, shipped, tlbc, tlbc_reading};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use tlbc::codes::TOY;

/// Returns the name, the page and the picture of a definition.
fn documents(text: &str) -> (String, String, String) {
    let (compiled, analyses) = tlbc::compile::planned([("a.arch", text)]);
    assert!(
        compiled.diagnostics.is_empty(),
        "{:?}",
        compiled.diagnostics
    );
    // Most tests are about the rest of the page, and proofs take long in test builds.
    let proof = tlbc::prove::Proof::default();
    let [page, picture] = tlbc::doc::documents(&analyses[0], &compiled.files, &proof)
        .try_into()
        .expect("two files");
    let name = analyses[0].model.arch.name.clone();
    assert_eq!(page.path, format!("{name}.md"));
    assert_eq!(picture.path, format!("{name}.svg"));
    (name, page.text, picture.text)
}

/// Returns the shipped definitions, the one that explanations use, and one with markup in its texts.
fn definitions() -> Vec<String> {
    let names = names_in(&root().join("archdefs"));
    let names = names
        .iter()
        .filter(|name| Path::new(name).extension() == Some("arch".as_ref()));
    let mut texts: Vec<String> = names.map(|name| shipped(name)).collect();
    let hostile = "<b>|&amp; `x` *y* ``` [a](b) ]]> <!-- </svg>";
    let text = shipped("x86_64.arch");
    texts.push(
        text.replace("CR4.PGE: global pages", hostile)
            .replace("SDM 3A 4.10.4.1; SDM 2 INVPCID", hostile)
            .replace("/// x86-64, with four", "/// <b>`x86-64, with four"),
    );
    texts.push(TOY.to_owned());
    texts
}

#[test]
fn the_size_of_entries_is_in_the_picture() {
    let path = root().join("tests/codegen/narrow/sections.arch");
    let narrow = fs::read_to_string(path).expect("a definition");
    for (text, size) in [(narrow, 4), (TOY.to_owned(), 8)] {
        let (name, _, picture) = documents(&text);
        assert!(
            picture.contains(&format!("entries of {size} bytes")),
            "{name}"
        );
    }
}

#[test]
fn links_resolve() {
    for text in definitions() {
        let (name, page, _) = documents(&text);
        let headings = page.lines().filter_map(|line| line.strip_prefix("##"));
        let headings = headings.map(|line| tlbc::doc::anchor(line.trim_start_matches('#').trim()));
        let headings: Vec<String> = headings.collect();
        let anchors: BTreeSet<&str> = headings.iter().map(String::as_str).collect();
        assert_eq!(anchors.len(), headings.len(), "two headings are equal");
        let mut fences = false;
        for line in page.lines() {
            fences ^= line.starts_with("```");
            if fences {
                continue;
            }
            for part in line.split("](").skip(1) {
                let target = part.split(')').next().expect("a target");
                let known = match target.strip_prefix('#') {
                    Some(anchor) => anchors.contains(anchor),
                    // Escaped brackets are not a link.
                    None => target == format!("{name}.svg") || line.contains("\\]("),
                };
                assert!(known, "{name}: {target}");
            }
        }
        assert!(page.contains(&format!("]({name}.svg)")));
    }
}

#[test]
fn pages_are_complete() {
    for text in definitions() {
        let (name, page, _) = documents(&text);
        for line in page.lines().filter(|line| line.starts_with('|')) {
            assert!(line.ends_with('|'), "{name}: {line}");
        }
        let (_, analyses) = tlbc::compile::planned([("a.arch", text.as_str())]);
        let model = &analyses[0].model;
        for invalidate in &model.invalidates {
            let heading = format!("\n### Instruction {}\n", invalidate.named.name);
            assert!(page.contains(&heading), "{name}: {heading}");
        }
        for erratum in &model.errata {
            assert!(
                page.contains(&format!("\n| `{}` | ", erratum.named.name)),
                "{name}"
            );
        }
        assert!(!page.contains("no such request"), "{name}");
    }
}

/// The machines of a page can double with each feature that a plan depends on.
#[test]
fn machines_are_listed_unless_they_are_too_many() {
    let with = |count: usize| {
        let better = |k: usize| {
            format!(
                "feature f{k} \"one more\";
                 invalidate x{k} requires f{k} \"x{k} {{page}}\" {{
                    per \"1\"; drops leaf at hint of one page, this tag; where inner; after dsb_ish;
                 }}"
            )
        };
        let items: String = (0..count).map(better).collect();
        let text = shipped("arm64.arch");
        let policy = text.rfind("policy {").expect("a policy");
        documents(&format!("{}{items}{}", &text[..policy], &text[policy..])).1
    };
    let refers = |page: &str| page.contains("`tlbc trace` shows what is issued on one.");
    assert!(!refers(&with(0)));
    let page = with(11);
    assert!(refers(&page) && page.contains("## Traces"));
}

/// Each clause of an instruction has a mark for the tags whose entries it drops, on the line of its addresses.
#[test]
fn pictures_show_the_tags_of_every_clause() {
    for text in definitions() {
        let (_, analyses) = tlbc::compile::planned([("a.arch", text.as_str())]);
        let model = &analyses[0].model;
        let forms = model.invalidates.iter().flat_map(|it| &it.forms);
        let clauses = forms.flat_map(|form| &form.drops).count();
        let (name, _, picture) = documents(&text);
        let marked: BTreeSet<String> = elements(&picture)
            .iter()
            .filter(|element| element.name == "circle")
            .map(|element| element.attributes["cy"].clone())
            .collect();
        assert_eq!(marked.len(), clauses, "{name}");
    }
}

/// Every picture is XML, its texts are inside of it, and texts of definitions are escaped.
#[test]
fn pictures_are_well_formed() {
    for text in definitions() {
        let (name, page, picture) = documents(&text);
        let elements = elements(&picture);
        let known = ["svg", "title", "rect", "line", "path", "circle", "text"];
        let number = |element: &Element, name: &str| -> u32 {
            element.attributes[name].parse().expect("a number")
        };
        let (width, height) = (
            number(&elements[0], "width"),
            number(&elements[0], "height"),
        );
        for element in &elements {
            assert!(
                known.contains(&element.name.as_str()),
                "{name}: {}",
                element.name
            );
            if element.name != "text" {
                continue;
            }
            let letters = element.text.chars().count() as u32;
            // In common fonts no text is wider on average.
            let wide = letters * number(element, "font-size") * 68 / 100;
            let left = match element.attributes["text-anchor"].as_str() {
                "middle" => number(element, "x").saturating_sub(wide / 2),
                _ => number(element, "x"),
            };
            assert!(
                left + wide * 9 / 10 <= width,
                "{name}: {} is cut off",
                element.text
            );
            assert!(
                number(element, "y") < height,
                "{name}: {} is cut off",
                element.text
            );
        }
        assert!(!page.contains("<b>"), "{name}");
        assert!(
            !picture.contains("href") && !picture.contains("<style"),
            "{name}"
        );
    }
}

/// No two texts of a picture overlap.
#[test]
fn texts_do_not_overlap() {
    for text in definitions() {
        let (name, _, picture) = documents(&text);
        let mut placed: Vec<(u32, u32, u32, String)> = Vec::new();
        for element in elements(&picture)
            .iter()
            .filter(|element| element.name == "text")
        {
            let number = |name: &str| element.attributes[name].parse::<u32>().expect("a number");
            let letter = if element.attributes["font-family"] == "monospace" {
                60
            } else {
                55
            };
            let wide = element.text.chars().count() as u32 * number("font-size") * letter / 100;
            let left = match element.attributes["text-anchor"].as_str() {
                "middle" => number("x") - wide / 2,
                _ => number("x"),
            };
            placed.push((left, left + wide, number("y"), element.text.clone()));
        }
        for (index, (left, right, y, one)) in placed.iter().enumerate() {
            for (from, to, at, other) in &placed[index + 1..] {
                let beside = right <= from || to <= left;
                assert!(beside || y.abs_diff(*at) >= 11, "{name}: {one} and {other}");
            }
        }
    }
}

/// For each kind of request the page has what was proved, from which facts, and which of them are not confirmed.
#[test]
fn proofs_name_their_facts() {
    let text = TOY.replace("change {", "unconfirmed drop_space \"a fact\"; change {");
    let (compiled, analyses) = tlbc::compile::planned([("a.arch", text.as_str())]);
    let proof = tlbc::prove::prove(&analyses[0].model, &analyses[0].plans);
    let [page, _] = tlbc::doc::documents(&analyses[0], &compiled.files, &proof)
        .try_into()
        .expect("two files");
    let row = |request: &str| {
        let start = format!("| {request} | ");
        let row = page.text.lines().find(|line| line.starts_with(&start));
        row.unwrap_or_else(|| panic!("{request}: {}", page.text))
    };
    let page_flush = row("user, other CPUs too: one page");
    assert!(page_flush.contains("`drop_page`") && page_flush.ends_with(" |  |"));
    let everything = row("user, other CPUs too: everything");
    assert!(everything.contains("| 1 | 0 | `publish`, ") && everything.ends_with(" | 1 |"));
    assert!(page.text.contains("| 1 | `drop_space` | a fact |"));
    assert!(proof.rows.len() > 50);
    for it in &proof.rows {
        row(&it.request);
    }
}

#[test]
fn files_are_written_like_those_of_gen() {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("a.arch"), shipped("x86_64.arch")).expect("a file");
    let run = |arguments: &[&str]| tlbc(directory.path(), arguments);
    let first = run(&["doc", "a.arch", "--out", "out/deep"]);
    assert_eq!(
        first.stdout,
        "out/deep/x86_64.md: written\nout/deep/x86_64.svg: written\n"
    );
    assert_eq!(
        names_in(&directory.path().join("out/deep")),
        ["x86_64.md", "x86_64.svg"]
    );
    let second = run(&["doc", "a.arch", "--out", "out/deep"]);
    assert_eq!(second.stdout, "out/deep is up to date\n");
    let path = directory.path().join("out/deep/x86_64.md");
    fs::write(&path, "mine").expect("a file");
    let third = run(&["doc", "a.arch", "--out", "out/deep"]);
    assert_eq!(third.stdout, "out/deep/x86_64.md: written\n");

    let taken = run(&["doc", "a.arch", "--out", "a.arch"]);
    assert_eq!(taken.code, Some(2));
    assert!(taken.stderr.contains("a.arch"), "{}", taken.stderr);
    let bad = tlbc_reading(
        directory.path(),
        &["doc", "-", "--out", "new"],
        b"arch m { x; }",
    );
    assert_eq!((bad.code, bad.stdout.as_str()), (Some(1), ""));
    assert!(!directory.path().join("new").exists());
    assert_eq!(run(&["doc", "nowhere.arch"]).code, Some(2));
}
