//! x86-64's instructions, by the manuals of Intel and AMD.

use super::{Dropped, Issued, Level, Place, Walk, Whose, level, sign_extended};
use tlbc_tests::requests::bits;

/// SDM 3A 4.5: the levels with four or five tables, from the leaf up.
pub fn levels(la57: bool) -> Vec<Level> {
    let mut levels = vec![
        level("pte", 12, true, 0),
        level("pmd", 21, true, 0),
        level("pud", 30, true, 0),
    ];
    if la57 {
        levels.push(level("p4d", 39, false, 0));
    }
    levels.push(level("pgd", if la57 { 48 } else { 39 }, false, 0));
    levels
}

/// What the machine is, as far as its instructions depend on it.
#[derive(Debug, Clone, Copy)]
pub struct Cpu {
    /// EFER.TCE.
    pub tce: bool,
    /// CR4.LA57.
    pub la57: bool,
    /// CR4.PCIDE.
    pub pcid: bool,
    /// The most pages of one INVLPGB.
    pub most: u64,
    /// ADL063, RPL042.
    pub alder_lake: bool,
    /// Whether PCIDs that mean the same on every CPU are in use.
    pub shared: bool,
    /// The PCID in CR3.
    pub loaded: u64,
}

/// SDM 2 and 3A 4.10.4.1, APM 3. Panics over an operand that raises #GP or does nothing.
pub fn dropped(op: &Issued, cpu: &Cpu) -> Option<Dropped> {
    let canonical = |va: u64| {
        let width = if cpu.la57 { 57 } else { 48 };
        assert_eq!(
            va,
            sign_extended(va, width),
            "not canonical: nothing is dropped"
        );
        va
    };
    let everything = |whose| Dropped {
        leaf_only: None,
        walk: Walk::Named,
        place: Place::Everything,
        whose,
    };
    let one = |start| Place::Points {
        start: canonical(start),
        step: 12,
        count: 1,
    };
    match op.name.as_str() {
        "invlpg" => Some(Dropped {
            leaf_only: None,
            walk: if cpu.tce { Walk::Named } else { Walk::All },
            place: one(bits(op.operand("va"), 63, 0)),
            whose: if cpu.alder_lake && cpu.pcid {
                Whose::Tag(cpu.loaded)
            } else {
                Whose::TagOrGlobal(cpu.loaded)
            },
        }),
        "invpcid" => {
            let word = op.operand("descriptor");
            assert_eq!(bits(word, 63, 12), 0, "INVPCID: #GP");
            let (va, pcid) = (bits(word, 127, 64), bits(word, 11, 0));
            let kind = bits(op.operand("kind"), 63, 0);
            assert!(
                cpu.pcid || kind >= 2 || pcid == 0,
                "INVPCID without PCIDs: #GP"
            );
            Some(match kind {
                0 => Dropped {
                    place: one(va),
                    ..everything(Whose::Tag(pcid))
                },
                1 => everything(Whose::Tag(pcid)),
                2 => everything(Whose::Any),
                3 => everything(Whose::Tags),
                _ => panic!("INVPCID: #GP"),
            })
        }
        "mov_cr3" => Some(everything(Whose::Tag(cpu.loaded))),
        "mov_cr4" => Some(everything(Whose::Any)),
        "invlpgb" => {
            let (rax, ecx, edx) = (op.operand("rax"), op.operand("ecx"), op.operand("edx"));
            assert_eq!(
                (bits(rax, 11, 6), bits(edx, 31, 28), bits(ecx, 30, 16)),
                (0, 0, 0),
                "#GP"
            );
            assert_eq!(bits(edx, 15, 0), 0, "the host is ASID 0");
            let flags = bits(rax, 5, 0);
            let count = bits(ecx, 15, 0) + 1;
            assert!(count <= cpu.most, "INVLPGB of {count} pages: #GP");
            assert_eq!(flags & 0b10_0100, 0b00_0100, "ASID compared, no guests");
            let place = if flags & 1 == 0 {
                Place::Everything
            } else {
                Place::Points {
                    start: canonical(bits(rax, 63, 12) << 12),
                    step: if bits(ecx, 31, 31) == 1 { 21 } else { 12 },
                    count,
                }
            };
            let pcid = bits(edx, 27, 16);
            let (whose, walk) = match (flags & 0b10 != 0, flags & 0b1000 != 0) {
                (true, false) => (Whose::Tag(pcid), Walk::Named),
                (true, true) => (Whose::TagOrGlobal(pcid), Walk::Named),
                (false, false) => (Whose::Tags, Walk::Named),
                // Of walk entries under other PCIDs at an address nothing is promised.
                (false, true) if flags & 1 == 1 => (Whose::Any, Walk::Stay),
                (false, true) => (Whose::Any, Walk::Named),
            };
            let final_only = flags & 0b1_0000 != 0;
            let walk = if final_only { Walk::Stay } else { walk };
            Some(Dropped {
                leaf_only: None,
                walk,
                place,
                whose,
            })
        }
        _ => None,
    }
}
