//! arm64's instructions, by DDI 0487 and DDI 0601.

use super::{Dropped, Issued, Level, Place, Walk, Whose, level, sign_extended};
use tlbc_tests::requests::bits;

/// DDI 0487 D8.2: the levels of a granule, by its number in operands, from the leaf up.
pub fn levels(granule: u64) -> Vec<Level> {
    match granule {
        0b01 => vec![
            level("pte", 12, true, 3),
            level("pmd", 21, true, 2),
            level("pud", 30, true, 1),
            level("pgd", 39, false, 0),
        ],
        0b10 => vec![
            level("pte", 14, true, 3),
            level("pmd", 25, true, 2),
            level("pud", 36, false, 1),
            level("pgd", 47, false, 0),
        ],
        _ => vec![
            level("pte", 16, true, 3),
            level("pmd", 29, true, 2),
            level("pgd", 42, false, 1),
        ],
    }
}

/// DDI 0601, the TLBI instructions. `granule` is what the tables use; panics over an operand that
/// the manual reserves or calls unpredictable.
pub fn dropped(op: &Issued, granule: u64) -> Option<Dropped> {
    let name = op.name.strip_suffix("is").unwrap_or(&op.name);
    let page = 10 + 2 * u32::try_from(granule).expect("two bits");
    let everything = |whose| Dropped {
        leaf_only: None,
        walk: Walk::Named,
        place: Place::Everything,
        whose,
    };
    let (range, kind) = match name {
        "vmalle1" => return Some(everything(Whose::Any)),
        "aside1" => {
            let word = op.operand("space");
            assert_eq!(bits(word, 47, 0), 0, "ASIDE1: [47:0] is RES0");
            return Some(everything(Whose::Tag(bits(word, 63, 48))));
        }
        "vale1" | "vae1" | "vaale1" | "vaae1" => (false, name),
        "rvale1" | "rvae1" | "rvaale1" | "rvaae1" => (true, &name[1..]),
        _ => return None,
    };
    let any = kind.starts_with("vaa");
    let operand = match (range, any) {
        (false, false) => "page",
        (false, true) => "page_any",
        (true, false) => "range",
        (true, true) => "range_any",
    };
    let word = op.operand(operand);
    let asid = bits(word, 63, 48);
    assert!(!any || asid == 0, "{name}: [63:48] is RES0");
    let (hint, place) = if range {
        assert_eq!(
            bits(word, 47, 46),
            granule,
            "another granule: nothing need be dropped"
        );
        let (scale, num) = (bits(word, 45, 44), bits(word, 43, 39));
        let start = sign_extended(bits(word, 36, 0), 37) << page;
        let hint = bits(word, 38, 37);
        let aligned = match (granule, hint) {
            (_, 0b00 | 0b11) => page,
            (0b01, 0b10) => 21,
            (0b01, 0b01) => 30,
            (0b10, 0b10) => 25,
            (0b11, 0b10) => 29,
            _ => panic!("{name}: level {hint} is no hint at this granule"),
        };
        assert_eq!(
            start % (1 << aligned),
            0,
            "{name}: BaseADDR is not aligned to TTL"
        );
        let count = (num + 1) << (5 * scale + 1);
        (
            hint,
            Place::Points {
                start,
                step: page,
                count,
            },
        )
    } else {
        let start = sign_extended(bits(word, 43, 0), 44) << 12;
        assert_eq!(
            start % (1 << page),
            0,
            "{name}: the address is that of a page"
        );
        let (tg, hint) = (bits(word, 47, 46), bits(word, 45, 44));
        assert!(
            tg == 0 && hint == 0 || tg == granule,
            "{name}: another granule"
        );
        let reserved = tg != 0 && (hint == 0 || tg == 0b10 && hint == 1);
        assert!(!reserved, "{name}: TTL {tg:#b} {hint} is no hint");
        (
            hint,
            Place::Points {
                start,
                step: page,
                count: 1,
            },
        )
    };
    Some(Dropped {
        leaf_only: (hint != 0).then_some(hint),
        walk: match (kind.ends_with("ae1"), hint, range) {
            // With a hint RSQXYZ promises nothing of the plain form.
            (false, ..) | (true, 1.., false) => Walk::Stay,
            (true, 0, _) => Walk::Named,
            (true, _, true) => Walk::NamedAbove(hint),
        },
        place,
        whose: if any {
            Whose::Any
        } else {
            Whose::TagOrGlobal(asid)
        },
    })
}
