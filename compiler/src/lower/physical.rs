//! The physical addresses that tables may have, and the size of their entries.
//!
//! In: `tables within` and `entries`. Out: the number of bits of their addresses with the requirement on the kernel, and
//! the number of bytes of an entry. Holds: a width is 1 to 64 bits, a size 4 or 8 bytes.

use super::scope::{Lower, of_kind};
use crate::ast::{Item, Number};
use crate::describe;
use crate::model::{At, Cases, Cond, Geometry, Requirement, Setup, Var};

impl Lower {
    pub(super) fn lower_table_bits(&mut self, items: &[Item]) -> Option<Cases<At<u64>>> {
        let mut said = None;
        for widths in of_kind!(items, TablesWithin) {
            let cases = self.cases(widths, true, |cx, number| {
                if !(1..=64).contains(&number.node) {
                    cx.misplaced(
                        number.span,
                        format!("addresses of {} bits are not possible", number.node),
                        "physical addresses have 1 to 64 bits",
                    );
                    return None;
                }
                Some(At {
                    value: number.node,
                    span: number.span,
                })
            });
            self.once(&mut said, "`tables within`", cases, widths.span);
        }
        said.map(|at| at.value)
    }

    /// Returns the number of bits of the top table's address.
    pub(super) fn root_bits(&mut self, stated: &[Number]) -> Option<At<u64>> {
        let mut said = None;
        for bits in stated {
            if (1..=64).contains(&bits.node) {
                self.once(&mut said, "`root within`", bits.node, bits.span);
            } else {
                self.misplaced(
                    bits.span,
                    format!("addresses of {} bits are not possible", bits.node),
                    "physical addresses have 1 to 64 bits",
                );
            }
        }
        said
    }

    /// Returns log2 of the alignment of the top table.
    pub(super) fn root_shift(&mut self, stated: &[Number]) -> Option<At<u32>> {
        let mut said = None;
        for bytes in stated {
            if bytes.node.is_power_of_two() {
                let shift = bytes.node.trailing_zeros();
                self.once(&mut said, "`root aligned`", shift, bytes.span);
            } else {
                self.misplaced(
                    bytes.span,
                    format!("{} bytes are not a power of two", bytes.node),
                    "tables are aligned to a power of two",
                );
            }
        }
        said
    }

    pub(super) fn lower_entry_size(&mut self, items: &[Item]) -> Option<At<u64>> {
        let mut said = None;
        for size in of_kind!(items, EntrySize) {
            let bytes = &size.node;
            if ![4, 8].contains(&bytes.node) {
                self.misplaced(
                    bytes.span,
                    format!("entries of {} bytes cannot be expressed", bytes.node),
                    "an entry is read and changed by one access of 4 or 8 bytes",
                );
                continue;
            }
            self.once(&mut said, "`entries`", bytes.node, size.span);
        }
        said
    }
}

/// Returns the requirement on the kernel that no table is above the addresses that instructions can be given.
pub(super) fn demands(widths: &Cases<At<u64>>) -> Vec<Setup> {
    let mut demands = Vec::new();
    for (index, (bits, when)) in widths.cases.iter().enumerate() {
        if bits.value == 64 {
            continue;
        }
        demands.push(Setup {
            what: Requirement::Text(unless(when, &widths.cases[index + 1..])),
            text: format!("tables are below 2^{}", bits.value),
            span: bits.span,
        });
    }
    demands
}

/// Returns the requirements on the kernel for the top tables of a geometry, of one or of several.
pub(super) fn demands_of_roots(geometries: &[Geometry]) -> Vec<Setup> {
    let mut demands = Vec::new();
    for (index, geometry) in geometries.iter().enumerate() {
        let mut require = |text, span| {
            let mut when = Cond::default();
            if geometries.len() > 1 {
                when.terms.push(At {
                    value: (Var::Geometry(index), true),
                    span,
                });
            }
            let what = Requirement::Text(when);
            demands.push(Setup { what, text, span });
        };
        if let Some(bits) = geometry.root_bits {
            require(format!("top tables are below 2^{}", bits.value), bits.span);
        }
        if let Some(shift) = geometry.root_shift {
            let bytes = describe::bytes(shift.value);
            require(format!("top tables are aligned to {bytes}"), shift.span);
        }
    }
    demands
}

/// Returns a condition without those of later cases. A condition of several terms has no opposite: where it holds,
/// both cases are required.
fn unless(when: &Cond, later: &[(At<u64>, Cond)]) -> Cond {
    let mut when = when.clone();
    for (_, other) in later {
        if let [term] = other.terms.as_slice() {
            let (of, wanted) = term.value;
            when.terms.push(At {
                value: (of, !wanted),
                span: term.span,
            });
        }
    }
    when
}
