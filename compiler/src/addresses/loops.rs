//! Claims of loops over entries and over runs.
//!
//! In: a definition. Out: claims about the steps of the runtime's loops, and the values for which the runtime takes exactly
//! these steps. Holds, where they do: a pass has each entry that overlaps the range and no other; a loop names each of
//! them and ends; a run has no more entries than the instruction can name, and its operand names exactly these.

use std::collections::BTreeSet;

use tlbc_runtime::level::Level;
use tlbc_runtime::request::passes::{Pass, Passes, SinglePass};
use tlbc_runtime::request::runs::{Runs, Units};
use tlbc_runtime::request::{Extent, LevelFacts, LevelTable, Ranges};

use super::claim::{Claim, Judged, Verdict};
use super::operands::Of;
use super::term::{Truth, Variable, Word};
use crate::emit::Arithmetic;
use crate::model::{Field, Model, Names, Source, UNLIMITED};
use crate::source::Span;

/// Returns log2 of the bytes of each kind of entry of a definition, with joined neighbours.
fn shifts(model: &Model) -> BTreeSet<u32> {
    let geometries = model.geometries.iter();
    let levels = geometries.flat_map(|geometry| geometry.levels.iter().enumerate());
    let levels = levels.filter_map(|(index, level)| Some((index, level.as_ref()?)));
    let shifts = levels.flat_map(|(index, level)| {
        let joined = model.caches.covered(index);
        let shifts = level.shift.cases.iter().map(|(shift, _)| *shift);
        shifts.flat_map(move |shift| [shift, shift + joined])
    });
    shifts.collect()
}

/// Returns the claims of all loops.
pub fn claims(model: &Model, code: &Arithmetic) -> Vec<Claim> {
    let mut all = Vec::new();
    for shift in shifts(model) {
        all.extend(entries(shift, model.arch.span));
    }
    for (index, operand) in model.operands.iter().enumerate() {
        let Some(names) = &operand.names else {
            continue;
        };
        let of = Of::new(model, code, index);
        let counted: BTreeSet<u32> = if names.pages {
            model.geometries.iter().map(|it| it.page_shift).collect()
        } else {
            shifts(model)
        };
        for shift in counted {
            for scale in 0..names.scales {
                all.extend(run(&of, &operand.fields, names, scale, shift));
            }
        }
        all.push(rest(&of, names));
    }
    all
}

/// Returns the claims about a range and its pass, and about the loop over the pass.
fn entries(shift: u32, span: Span) -> Vec<Claim> {
    let claim = |claim: &str, given: Vec<Truth>, holds: Truth| Claim {
        about: format!("loops over entries of 2^{shift} bytes"),
        words: claim.to_owned(),
        span,
        given,
        holds,
    };
    let start = Word::var("start", 64);
    let last = Word::var("last", 64);
    let range = start.clone().at_most(last.clone());
    let aligned = |va: Word| (va >> shift) << shift;
    let count = (last.clone() >> shift) - (start.clone() >> shift) + 1u32;
    let first = start.clone() & !Word::ones(shift);
    let va = Word::var("va", 64);
    let nth = (va.clone() >> shift) - (start.clone() >> shift);
    let after = vec![start.clone().at_most(va.clone())];
    let ordered = (start.clone() >> shift).at_most(va.clone() >> shift);
    let named = (first.clone() + (nth << shift)).equals(aligned(va));
    // The numbers of the entries of the first address, of some address, and of the last one.
    let [low, some, high] = ["low", "some", "high"].map(|name| Word::var(name, 64 - shift));
    let between = vec![
        low.clone().at_most(some.clone()),
        some.clone().at_most(high.clone()),
    ];
    let counted = (some - low.clone()).less(high - low + 1u32);
    let at_end = (first.clone() + ((count.clone() - 1u32) << shift)).equals(aligned(last));
    let n = Word::var("n", 64);
    let step = (first.clone() + (n.clone() << shift)) + (Word::Number(1) << shift);
    let next = first + ((n.clone() + 1u32) << shift);
    let left = Word::var("left", 64);
    vec![
        claim(
            "entries have the order of their addresses",
            after.clone(),
            ordered,
        ),
        claim(
            "the entry of each address up to the last is counted",
            between,
            counted,
        ),
        claim("the entry of that number has the address", after, named),
        claim(
            "the pass ends with the entry of the last address",
            vec![range.clone()],
            Truth::And(vec![at_end, Word::Number(1).at_most(count)]),
        ),
        claim(
            "each step goes to the next entry",
            vec![range],
            step.equals(next),
        ),
        claim(
            "the loop ends",
            vec![Word::Number(1).at_most(left.clone())],
            (left.clone() - 1u32).less(left),
        ),
    ]
}

/// A step of a loop over runs, as terms.
struct LoopStep {
    /// Entries or pages that are left before it.
    left: Word,
    /// The units of the run.
    units: Word,
    /// log2 of the entries or pages of a unit.
    unit: u32,
    limit: Word,
}

impl LoopStep {
    fn new(names: &Names, scale: u32, shift: u32) -> Self {
        let unit = names.base + names.step * scale;
        let left = Word::var("left", 64 - shift);
        let fit = left.clone() >> unit;
        // A limit that is read at boot: at least 1, and no more than the operand can name.
        let most = Word::Number(names.most_num + 1);
        let limit = if names.pages {
            most
        } else {
            let limit = Word::var("limit", 32);
            let any = Word::choice(
                limit.clone().equals(UNLIMITED.into()),
                Word::Number(u64::MAX),
                limit.clone(),
            );
            let limit = Word::choice(limit.equals(0u32.into()), 1u32.into(), any);
            Word::choice(limit.clone().less(most.clone()), limit, most)
        };
        let units = Word::choice(fit.clone().less(limit.clone()), fit, limit.clone());
        Self {
            left,
            units,
            unit,
            limit,
        }
    }

    /// Returns whether a run of this scale fits.
    fn fits(&self) -> Truth {
        Word::Number(1).at_most(self.left.clone() >> self.unit)
    }

    fn taken(&self) -> Word {
        self.units.clone() << self.unit
    }
}

fn run(of: &Of<'_>, fields: &[Field], names: &Names, scale: u32, shift: u32) -> Vec<Claim> {
    let step = LoopStep::new(names, scale, shift);
    let num = step.units.clone() - 1u32;
    let scaled = of.sources.source(Source::Scale);
    let at = |claim: &str| format!("{claim}, at scale {scale}, counted in 2^{shift} bytes");
    let given = vec![step.fits()];
    let bytes = step.units.clone() << (step.unit + shift);
    let mut all = vec![
        of.claim(
            at("a run has no more than the instruction can name"),
            given.clone(),
            Truth::And(vec![
                num.clone().at_most(names.most_num.into()),
                step.units.clone().at_most(step.limit.clone()),
            ]),
        ),
        of.claim(
            at("the loop ends"),
            given.clone(),
            (step.left.clone() - step.taken()).less(step.left.clone()),
        ),
        of.claim(
            at("the next run starts where this one ends, without overflow"),
            given.clone(),
            Truth::And(vec![
                step.taken().at_most(step.left.clone()),
                (bytes.clone() >> (step.unit + shift)).equals(step.units.clone()),
                bytes.equals(step.taken() << shift),
            ]),
        ),
    ];
    let field = |source: Source| {
        let mut fields = fields.iter();
        let field = fields.find(|field| field.value.source() == Some(source))?;
        let bits = of.stated(field.low / 64) >> (field.low % 64);
        Some(bits & Word::ones(field.width()))
    };
    if let Some(read) = field(Source::Num) {
        let mut given = given;
        let variable = of.sources.source(Source::Num);
        given.push(variable.equals(num));
        let mut same = vec![(read + 1u32).equals(step.units)];
        if let Some(read) = field(Source::Scale) {
            given.push(scaled.equals(scale.into()));
            same.push(read.equals(scale.into()));
        }
        let claim = at("the operand names what the run has");
        all.push(of.claim(claim, given, Truth::And(same)));
    }
    all
}

/// Returns the claim that what no run can name is at most one entry or page.
fn rest(of: &Of<'_>, names: &Names) -> Claim {
    let left = Word::var("left", 64);
    of.claim(
        "at most one page or entry is left after the runs".to_owned(),
        vec![left.clone().less(Word::Number(1) << names.base)],
        left.at_most(1u32.into()),
    )
}

/// Compares the loops of the runtime with the steps of the claims.
pub fn compared(model: &Model) -> Vec<Judged> {
    let start = std::time::Instant::now();
    let mut all = Vec::new();
    for shift in shifts(model).into_iter().filter(|shift| *shift < 64) {
        let mut checked = 0;
        let same = extents(shift).all(|extent| {
            checked += 1;
            is_pass(extent, shift)
        });
        all.push(judged(
            format!("loops over entries of 2^{shift} bytes"),
            same,
            checked,
        ));
    }
    for operand in &model.operands {
        let Some(names) = &operand.names else {
            continue;
        };
        let mut checked = 0;
        let same = lengths().all(|left| {
            checked += 1;
            takes_these_steps(names, left)
        });
        all.push(judged(
            format!("operand `{}`", operand.named.name),
            same,
            checked,
        ));
    }
    let count = u32::try_from(all.len()).unwrap_or(1).max(1);
    let each = start.elapsed() / count;
    let span = model.arch.span;
    all.into_iter()
        .map(|(about, verdict)| Judged {
            about,
            words: "the runtime takes the steps of the other claims".to_owned(),
            span,
            verdict,
            time: each,
            is_earlier: false,
        })
        .collect()
}

fn judged(about: String, same: bool, checked: u64) -> (String, Verdict) {
    let verdict = if same {
        Verdict::Checked(checked)
    } else {
        Verdict::Refuted(Vec::new())
    };
    (about, verdict)
}

/// Ranges around the multiples of an entry, at both ends of the address space.
fn extents(shift: u32) -> impl Iterator<Item = Extent> {
    let entry = 1u64 << shift;
    let edges = move |count: u64| {
        let whole = count.wrapping_mul(entry);
        [whole.wrapping_sub(1), whole, whole.wrapping_add(1)]
    };
    let starts = [0, 1, 2, 3, 0u64.wrapping_sub(1), 0u64.wrapping_sub(2)];
    let starts = starts.into_iter().flat_map(edges);
    starts.flat_map(move |start| {
        let lengths = [1, 2, 3, 5, 64].into_iter().flat_map(edges);
        lengths
            .filter(move |bytes| *bytes > 0 && start.checked_add(*bytes - 1).is_some())
            .map(move |bytes| Extent::new(start, bytes))
    })
}

/// Returns whether the pass over a range is the one of the claims.
fn is_pass(extent: Extent, shift: u32) -> bool {
    let mut levels: LevelTable = Default::default();
    levels[0] = LevelFacts::leaf(shift);
    let mut ranges = Ranges::new();
    ranges.leaf(Level(0), extent);
    let Some(single) = SinglePass::new(&ranges, &levels) else {
        return false;
    };
    let last = extent.start.wrapping_add(extent.bytes - 1);
    let count = (last >> shift) - (extent.start >> shift) + 1;
    single.leaves().all(|pass| {
        let mut next = (extent.start >> shift) << shift;
        pass.entries == count
            && pass.addresses().all(|va| {
                let is = va == next;
                next = next.wrapping_add(1 << shift);
                is
            })
    })
}

/// Returns small numbers of entries, and those around powers of two.
fn lengths() -> impl Iterator<Item = u64> {
    let powers = (9..24).flat_map(|power| [(1u64 << power) - 1, 1 << power, (1 << power) + 1]);
    (1..512).chain(powers)
}

/// Returns whether the runs over some entries or pages are those of the claims.
fn takes_these_steps(names: &Names, entries: u64) -> bool {
    let Some(most) = names.most_num.checked_add(1) else {
        return true;
    };
    let units = Units {
        base: names.base,
        step: names.step,
        scales: names.scales,
        most,
    };
    let pass = Pass {
        entries,
        shift: 12,
        ..Pass::default()
    };
    let limit = 64;
    let (runs, limit) = if names.pages {
        (Runs::of_pages(&pass, 12, units), None)
    } else {
        (
            Runs::of_entries(&pass, limit, units),
            Some(u64::from(limit)),
        )
    };
    if entries == 1 && names.pages {
        return runs.rest() == Some(0);
    }
    let mut runs = runs;
    let (mut left, mut va) = (entries, 0);
    for scale in (0..names.scales).rev() {
        let step = LoopStep::new(names, scale, 12);
        let (fits, taken) = (step.fits(), step.taken());
        let mut variables = Vec::new();
        fits.variables(&mut variables);
        taken.clone().equals(0u32.into()).variables(&mut variables);
        variables.sort();
        variables.dedup();
        let mut values: Vec<(Variable, u64)> = variables
            .into_iter()
            .map(|variable| (variable, limit.unwrap_or(0)))
            .collect();
        let Some(at) = values.iter().position(|(it, _)| it.name == "left") else {
            return false;
        };
        loop {
            values[at].1 = left;
            if !fits.holds(&values) {
                break;
            }
            let count = step.units.value(&values);
            let Some(run) = runs.next() else {
                return false;
            };
            let bytes = count << (step.unit + 12);
            if (run.va, run.end, run.num, run.scale) != (va, va + bytes, count - 1, scale) {
                return false;
            }
            va += bytes;
            left -= taken.value(&values);
        }
    }
    runs.next().is_none() && runs.rest() == (left > 0).then_some(va)
}
