//! A fact that can be stated once is stated once.

use super::{ARM64, POWERPC64, S390, X86_64, refused, slate};
use tlbc_tests::requests::findings;

#[test]
fn each_fact_is_said_once() {
    let slate_says = [
        "page 4 KiB;",
        "one per cpu;",
        "walk spans its reach;",
        "large leaf may split, dropped together;",
        "invalid never;",
        "fills while loaded;",
        "stricter dropped by the fault;",
        "16 bits;",
        "of machine;",
        "values 1..65535;",
        "from generations;",
        "tables within 48 bits;",
        "addresses low 38 bits;",
        "leaf under asid;",
        "walk under asid;",
        "publishes on cpus;",
        "completes on cpus;",
        "per \"manual, 4.1\";",
        "where cpus;",
        "needs no lock;",
        "after complete;",
        "plain store;",
        "loads root; resync refetch;",
        "contents unknown;",
        "shootdown broadcast;",
        "gather pages batched, tables deferred;",
        "lazy refcounted;",
        "ceiling 64 operations;",
    ];
    let arm64_says = [
        "granule 0b01;",
        "read after publish;",
        "clean to dirty walks;",
        "half loaded is unsafe;",
    ];
    let x86_64_says = [
        "cleared accessed may stay;",
        "may be invalidated lazily;",
        "atomics order everything;",
        "at once;",
        "cost 2;",
        "clobbers flags;",
        "strides pte, pmd, pud;",
    ];
    let s390_says = [
        "top pud, p4d, pgd;",
        "is the root;",
        "may be interrupted;",
        "overwrites operands;",
        "writes entry at pte: invalid;",
        "drops nothing;",
        "software bits at pte by plain store;",
        "waits for changes;",
    ];
    let powerpc64_says = [
        "tlb  has 128 sets, 1 set when isa31;",
        "devices when coprocessors;",
        "retry while busy;",
        "encoded \".long 0x7c6003e4\";",
    ];
    let all: [(&str, &[&str]); 5] = [
        (slate(), &slate_says),
        (ARM64, &arm64_says),
        (X86_64, &x86_64_says),
        (S390, &s390_says),
        (POWERPC64, &powerpc64_says),
    ];
    for (text, facts) in all {
        for fact in facts {
            assert!(text.contains(fact), "{fact}");
            let twice = text.replacen(fact, &format!("{fact} {fact}"), 1);
            let found = findings(&twice);
            assert!(
                found.iter().any(|it| it.starts_with("E0204 ")),
                "{fact}: {found:#?}"
            );
        }
    }
}

/// The tag of one CPU means another space on those that share its TLB.
#[test]
fn a_tag_of_one_cpu_where_cpus_share_a_tlb() {
    let shared = ("one per cpu;", "one per core;");
    refused(X86_64, &[shared], "E0405");
}
