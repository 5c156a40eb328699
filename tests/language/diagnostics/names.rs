//! Names and the parts of a definition: unknown, missing, too many, unused, in circles.

use tlbc::codes::TOY;
use tlbc::render::{Format, render};

use crate::diagnostics::toy::toy_with;
use crate::diagnostics::{cases, found, invalidate, messages, snapshot};

#[test]
fn names() {
    cases(
        "names",
        &[
            "tag color { 8 bits; of machine; from generations; }\ntag color { 8 bits; of cpu; from slots; }",
            "barrier drop_all \"x\" { publishes on self; }\nfeature f \"f\";\nerratum f \"f\" { weakens wait: not drained; workaround after wait issue drop_all, wait; }",
            "operand page 64 bits { [63:56] tga; [55:50] 0; [49:48] hint when hinted; [47:0] va[59:12]; }",
            "operand page 64 bits { [63:56] tag; [55:50] 0; [49:48] hint when hinted; [47:0] va[69:12]; }",
            "space user { addresses low 38 bits; leaf under colour; walk under nothing; }",
            &invalidate(
                "drop_two \"drop.two {pages}\"",
                "drops leaf at ptf of one page, this tag when far; where cpu; after waits;",
            ),
            "for (x) in (a) { switch { loads root; } }",
        ],
    );
}

#[test]
fn missing_parts() {
    let (files, diagnostics) = found("arch empty { }\n", true);
    snapshot(
        "missing_parts",
        &render(&files, &diagnostics, Format::Human, false),
    );
    cases(
        "missing_facts",
        &[
            "geometry g4k { levels { pte 12 leaf; } }",
            "geometry g16k { page 16 KiB; }",
            "tag color { 8 bits; from generations; }",
            "space user { views; }"
                .replace("views;", "view one tag;")
                .as_str(),
            "change { }",
            "invalidate drop_two \"drop.two\" { }",
            "load spare \"load.spare {root}\" { }\nreturn_to_user { loads spare; }",
            "operand page 64 bits { [63:56] tag; [55:50] granule; [49:48] hint when hinted; [47:0] va[59:12]; }",
            "geometry g4k { page 4 KiB; levels { pte 12 leaf; pmd 21 leaf; pgd 30; } }",
        ],
    );
}

/// Bits that software alone reads are of interest where instructions write entries.
#[test]
fn software_bits_of_entries() {
    let with = |facts: &str| messages(&toy_with(&format!("change {{ {facts} }}")));
    let bits = "software bits at pte by plain store;";
    assert_eq!(
        with(&format!("plain store; {bits}")),
        ["E0207 a plain store changes every bit of an entry"]
    );
    let twice = with(&format!("by writers; {bits} {bits}"));
    let once = "E0204 which software bits a plain store changes is stated twice";
    assert!(twice.contains(&once.to_owned()), "{twice:?}");
    let unknown = with("by writers; software bits at ptt by plain store;");
    let near = "E0202 there is no level `ptt`";
    assert!(unknown.contains(&near.to_owned()), "{unknown:?}");
}

/// What of a valid entry may change in place.
#[test]
fn aspects_of_changes() {
    let with = |facts: &str| messages(&toy_with(&format!("change {{ {facts} }}")));
    assert_eq!(
        with("plain store; rights of a valid entry in place;"),
        [""; 0]
    );
    assert_eq!(
        with("plain store; merge of a valid entry through invalid;"),
        ["E0207 contiguity is one of the attributes of an entry"]
    );
    assert_eq!(
        with("plain store; outptu of a valid entry in place;"),
        ["E0202 there is no aspect `outptu`"]
    );
    // The last that holds counts.
    assert_eq!(
        with(
            "plain store; size of a valid entry in place; output, size of a valid entry through invalid;"
        ),
        ["E0208 alternative 1 of 2 never counts"]
    );
    assert_eq!(
        with("by writers; output of a valid entry in place;"),
        [
            "E0207 an instruction writes an entry and invalidates in one step, so there is nothing to state",
        ]
    );
}

#[test]
fn more_flags_than_bits() {
    let features: Vec<String> = (0..40).map(|n| format!("feature f{n} \"f\";")).collect();
    let found = messages(&toy_with(&features.join("\n")));
    assert_eq!(
        found,
        ["E0207 there are more than 32 features, errata and geometries after the first"]
    );
}

/// Features and errata together have as many bits as the configuration.
#[test]
fn as_many_flags_as_bits() {
    let with = |errata: usize| {
        let features = (0..24).map(|n| format!("feature f{n} \"f\"; "));
        let erratum = |n| {
            format!(
                "erratum e{n} \"e\" {{ weakens wait: not drained; workaround after wait issue drop_all, wait; }}"
            )
        };
        let items: String = features.chain((0..errata).map(erratum)).collect();
        let found = messages(&toy_with(&items)).into_iter();
        found
            .filter(|message| message.starts_with("E0207"))
            .collect::<Vec<_>>()
    };
    let most = 32 - 24 - TOY.matches("geometry ").count() + 1;
    assert_eq!(with(most), [""; 0]);
    let found = with(most + 1);
    assert!(found[0].contains("more than 32"), "{found:?}");
    assert_eq!(found.len(), 1);
}

#[test]
fn more_features_than_an_instruction_can_depend_on() {
    let with = |count: usize| {
        let features: Vec<String> = (0..count)
            .map(|n| format!("feature f{n} \"f\"; "))
            .collect();
        let clauses: Vec<String> = (0..count)
            .map(|n| format!("drops leaf, walk of everything, any tag when f{n};"))
            .collect();
        let facts = format!(
            "{} where cpus; needs no lock; after wait;",
            clauses.concat()
        );
        let found = messages(&toy_with(&format!(
            "{}\n{}",
            features.concat(),
            invalidate("odd \"odd\"", &facts)
        )));
        found
            .into_iter()
            .filter(|message| message.starts_with("E0207"))
            .collect::<Vec<_>>()
    };
    assert_eq!(with(8), [""; 0]);
    assert_eq!(with(9), ["E0207 what `odd` does depends on 9 features"]);
}

/// The least values of a tag may be reserved, and no others: the values that are given out follow each other.
#[test]
fn reserved_tags_are_the_least() {
    let with = |facts: &str| {
        let color = "tag color { 8 bits; of machine; from generations; }";
        let reserved = format!("tag color {{ 8 bits; of machine; from generations; {facts} }}");
        messages(&TOY.replace(color, &reserved))
    };
    assert_eq!(with("reserved 1; reserved 0;"), [""; 0]);
    assert_eq!(with("values 3..9; reserved 3; reserved 0;"), [""; 0]);
    let found = with("reserved 0; reserved 9;");
    assert_eq!(
        found,
        ["E0207 9 is not the lowest value that the tag can have"]
    );
}

#[test]
fn what_is_not_confirmed_is_there() {
    let found = |about: &str| {
        messages(&TOY.replace(
            "change { plain store; }",
            &format!("change {{ plain store; }} unconfirmed {about} \"a kernel relies on it\";"),
        ))
    };
    for about in [
        "drop_page, drop_space",
        "wait",
        "root",
        "caches",
        "change",
        "switch",
        "return_to_user",
        "cpu_online",
        "atomics",
    ] {
        assert_eq!(found(about), [""; 0], "{about}");
    }
    assert_eq!(
        found("drop_page, drop_pgae"),
        ["E0202 there is no instruction, load, erratum or part `drop_pgae`"]
    );
    // What has no effect on caches is none of these.
    let none = "E0202 there is no instruction, load, erratum or part";
    for about in ["policy", "color", "user"] {
        assert_eq!(found(about), [format!("{none} `{about}`")]);
    }
    let text = "invalidate drop_page_here";
    assert_eq!(
        found(text),
        ["E0101 expected `,` or a text in quotes, found `drop_page_here`"]
    );
}

#[test]
fn circles_of_features() {
    cases(
        "circles",
        &[
            "feature a \"a\" needs b;\nfeature b \"b\" needs c and d;\nfeature c \"c\" needs a;\nfeature d \"d\";",
            "feature a \"a\" needs a;",
        ],
    );
}

#[test]
fn circles_of_caches() {
    let caches = |held: &str| {
        format!(
            "caches {{ {held} one per cpu; walk spans its reach; large leaf may split, dropped together; \
             invalid never; fills while loaded; stricter refetched; }}"
        )
    };
    cases(
        "circles_of_caches",
        &[
            &caches("tlb holds leaf, walk from near; near holds leaf from tlb;"),
            &caches("tlb holds leaf, walk; near holds leaf from near; far holds leaf from near;"),
        ],
    );
}

#[test]
fn unused_names() {
    cases(
        "unused",
        &[
            "feature far \"far\";\nlimit most \"most\" 1..5;\ntag spare { 4 bits; of machine; from generations; }",
            "feature f \"f\";\nspace user { addresses low 38 bits when f, low 30 bits; leaf under color; walk under color; }",
        ],
    );
}
