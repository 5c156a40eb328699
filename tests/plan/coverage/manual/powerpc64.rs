//! The effects of powerpc64's instructions, decoded from their operands by the layouts in Linux's `radix_tlb.c` and PAPR.
//! Only names come from the definition.

use std::ops::Range;
use tlbc::model::Config;
use tlbc::model::Which;
use tlbc::trace::interpret::Op;
use tlbc_tests::requests::{TAG, bits, powerpc};

/// Which entries an instruction names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Leaves of entries of 2^shift bytes, for each of these shifts, that lie at these addresses whole.
    Sized(Vec<u32>, Range<u128>),
    /// One set of the TLB.
    Set(u64),
    /// All.
    Everything,
}

/// The agents that lose entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// The TLB and the walk cache of this core.
    Core,
    /// The ERAT of this CPU.
    Erat,
    /// Every CPU, every device: all their caches.
    All {
        /// As far as CPUs are wanted.
        cpus: bool,
        /// As far as devices are.
        nest: bool,
    },
}

/// What one instruction drops.
#[derive(Debug, Clone)]
pub struct Drop {
    /// Translations.
    pub leaf: bool,
    /// Pointers to tables.
    pub walk: bool,
    /// Which of them.
    pub place: Place,
    /// Of this PID alone.
    pub pid: Option<u64>,
    /// The agents that lose them.
    pub at: Where,
}

/// A machine.
#[derive(Debug, Clone, Copy)]
pub struct Cpu {
    /// Its configuration.
    pub config: Config,
}

impl Cpu {
    /// Whether it has a feature.
    pub fn has(self, name: &str) -> bool {
        let at = powerpc()
            .model
            .features
            .iter()
            .position(|f| f.named.name == name);
        self.config.has(at.expect("a feature"))
    }

    /// Whether it has an erratum.
    pub fn suffers(self, name: &str) -> bool {
        let at = powerpc()
            .model
            .errata
            .iter()
            .position(|e| e.named.name == name);
        self.config.suffers(at.expect("an erratum"))
    }

    /// log2 of the page size.
    pub fn page(self) -> u32 {
        if self.config.geometry == 0 { 12 } else { 16 }
    }

    /// log2 of what an entry of a level reaches.
    pub fn shift(self, level: usize) -> u32 {
        [self.page(), 21, 30, 39][level]
    }

    /// Returns the number of sets of its TLB.
    pub fn sets(self) -> u64 {
        if self.has("isa31") { 1 } else { 128 }
    }

    /// Returns what an instruction drops; nothing for a barrier and for a workaround.
    pub fn read(self, op: &Op) -> Option<Drop> {
        let model = &powerpc().model;
        let Which::Invalidate(index) = op.which else {
            return None;
        };
        let name = model.invalidates[index].named.name.as_str();
        if name == "tlbie_unused" {
            return None;
        }
        let operand = |wanted: &str| {
            let mut all = op.operands.iter();
            let found = all.find(|(i, _)| model.operands[*i].named.name == wanted);
            found.unwrap_or_else(|| panic!("{name} has no {wanted}")).1
        };
        let (head, ric) = name.split_at(name.len() - 1);
        let (leaf, walk) = match ric {
            "1" => (false, true),
            "2" => (true, true),
            _ => (true, false),
        };
        let rs = || {
            assert_eq!(bits(operand("rs"), 31, 0), 0, "LPID");
            Some(bits(operand("rs"), 63, 32))
        };
        let tlbie = Where::All {
            cpus: self.has("broadcast"),
            nest: true,
        };
        let set = |rb: u128| match self.sets() {
            1 => Place::Everything,
            _ => Place::Set(bits(rb, 23, 12)),
        };
        let drop = |place, pid, at| Drop {
            leaf,
            walk,
            place,
            pid,
            at,
        };
        Some(match head {
            "tlbie_v" | "tlbiel_v" => {
                let rb = operand("rb_va");
                assert_eq!((bits(rb, 11, 8), bits(rb, 4, 0)), (0, 0), "IS");
                let shift = match bits(rb, 7, 5) {
                    0 => 12,
                    5 => 16,
                    1 => 21,
                    2 => 30,
                    ap => panic!("AP {ap} is no size"),
                };
                let start = rb & !0xfff;
                let place = Place::Sized(vec![shift], start..start + (1 << shift));
                drop(
                    place,
                    rs(),
                    if head == "tlbie_v" {
                        tlbie
                    } else {
                        Where::Core
                    },
                )
            }
            "tlbie_pid" | "tlbiel_pid" if ric == "1" => {
                assert_eq!(operand("rb_pid"), 0x400);
                drop(
                    Place::Everything,
                    rs(),
                    if head == "tlbie_pid" {
                        tlbie
                    } else {
                        Where::Core
                    },
                )
            }
            "tlbie_pid" => {
                assert_eq!(operand("rb_pid"), 0x400);
                drop(Place::Everything, rs(), tlbie)
            }
            "tlbiel_pid" => {
                let rb = operand("rb_pid_set");
                assert_eq!((bits(rb, 63, 24), bits(rb, 11, 0)), (0, 0x400));
                drop(set(rb), rs(), Where::Core)
            }
            // IH = 3 spares what was made under PID 0.
            "slbia_use" => drop(Place::Everything, Some(TAG), Where::Erat),
            "slbia_al" => drop(Place::Everything, None, Where::Erat),
            "rpt_ru" | "rpt_spac" => call(name, &|name| bits(operand(name), 63, 0)),
            _ => panic!("{name} flushes nothing of a space"),
        })
    }
}

/// Returns the entries that a call of the hypervisor drops.
fn call(name: &str, operand: &dyn Fn(&str) -> u64) -> Drop {
    let (form, target) = (operand("rpt_type"), operand("rpt_target"));
    assert!(target == 1 || target == 5, "target {target}");
    let place = if name == "rpt_run" {
        let mask = operand("rpt_size");
        assert!(mask != 0 && mask < 16, "no mask of sizes: {mask}");
        let sizes = [12, 16, 21, 30].into_iter().enumerate();
        let shifts = sizes.filter(|(bit, _)| mask & (1 << bit) != 0);
        let (start, end) = (operand("rpt_start"), operand("rpt_end"));
        // The end of the addresses is 0.
        let bytes = end.wrapping_sub(start);
        Place::Sized(
            shifts.map(|(_, shift)| shift).collect(),
            u128::from(start)..u128::from(start) + u128::from(bytes),
        )
    } else {
        assert_eq!(operand("rpt_every_size"), u64::MAX);
        assert_eq!(
            (operand("rpt_from_first"), operand("rpt_to_last")),
            (0, u64::MAX)
        );
        Place::Everything
    };
    Drop {
        leaf: form & 2 != 0,
        walk: form & 4 != 0,
        place,
        pid: Some(operand("rpt_pid")),
        at: Where::All {
            cpus: true,
            nest: target == 5,
        },
    }
}
