//! Names: Rust identifiers for the items of a definition.
//!
//! In: a model. Out: an identifier for each item, unique in its scope. An identifier is the name of the definition in the
//! case that Rust has for the kind, with a single underscore instead of several. If that is a word of Rust or taken, `_2`
//! is added (`2` in camel case), or the next number that makes it unique. Names are taken by generated code, and by earlier
//! items of the definition, so that the identifier of an item does not depend on what is issued.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use tlbc_runtime::backend::FinishSteps;
use tlbc_runtime::request::Space;

use super::tree::{FlagBarriers, Private, Property, SetLoop, Var};
use crate::model::{DefinitionName, Instr, Model, Which, variable};

/// Reserved words, in any edition.
const WORDS: [&str; 53] = [
    "Self", "_", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if",
    "impl", "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub",
    "ref", "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Returns whether Rust reserves a word, in any edition.
pub fn is_word(name: &str) -> bool {
    WORDS.contains(&name)
}

/// A set of unique names.
pub struct NameScope {
    taken: BTreeSet<String>,
    separator: &'static str,
}

impl NameScope {
    /// Returns a scope in which generated code has these names.
    pub fn new<'a>(fixed: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            taken: fixed.into_iter().map(str::to_owned).collect(),
            separator: "_",
        }
    }

    /// Returns a scope for names in camel case.
    fn camel() -> Self {
        Self {
            taken: BTreeSet::new(),
            separator: "",
        }
    }

    /// Returns an identifier for a name, with a number if it is taken.
    pub fn give(&mut self, natural: &str) -> String {
        let free = |name: &String| !is_word(name) && !self.taken.contains(name);
        let numbered = (2..).map(|number| tidy(&format!("{natural}{}{number}", self.separator)));
        let mut names = std::iter::once(tidy(natural)).chain(numbered);
        let name = names.find(free).unwrap_or_default();
        self.taken.insert(name.clone());
        name
    }

    /// Returns identifiers for names.
    fn all(&mut self, names: impl Iterator<Item = String>) -> Vec<String> {
        names.map(|name| self.give(&name)).collect()
    }
}

/// Returns a name without two underscores in a row, for which Rust has a warning.
fn tidy(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    out
}

/// Returns a name in camel case.
fn camel(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut chars = word.chars();
        let first = chars.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    });
    let words: String = words.collect();
    match words.chars().next() {
        Some(first) if first.is_alphabetic() => words,
        _ => format!("_{words}"),
    }
}

/// The identifiers of a module.
pub struct ModuleNames {
    flags: Vec<String>,
    levels: Vec<String>,
    limits: Vec<String>,
    operands: Vec<String>,
    encoders: Vec<String>,
    units: Vec<String>,
    variants: BTreeMap<Which, String>,
    issuers: BTreeMap<Which, String>,
    barriers: BTreeMap<FlagBarriers, String>,
    sets: BTreeMap<SetLoop, String>,
    workarounds: BTreeMap<(usize, usize), String>,
    forms: BTreeMap<(usize, usize), String>,
    views: BTreeMap<(Space, usize), String>,
    erratum_sets: Vec<String>,
    steps: Vec<String>,
    registers: BTreeMap<String, String>,
    calls: BTreeMap<String, String>,
    /// The names of items of the module.
    items: RefCell<NameScope>,
}

impl ModuleNames {
    /// Returns the names of a model, and of the functions for these choices of barriers and loops over sets.
    pub fn new(
        model: &Model,
        barriers: impl IntoIterator<Item = FlagBarriers>,
        sets: impl IntoIterator<Item = SetLoop>,
    ) -> Self {
        let upper = |named: &DefinitionName| named.name.to_uppercase();
        let operands = || model.operands.iter().map(|it| &it.named.name);

        let features = model.features.iter().map(|it| &it.named);
        let errata = model.errata.iter().map(|it| &it.named);
        let geometries = model.geometries.iter().skip(1).map(|it| &it.named);
        let flags = features.chain(errata).chain(geometries).map(upper);
        let flags = NameScope::new(["FEATURES", "NAMES", "NONE", "OF_SPACE"]).all(flags);

        // A variable hides a function of the same name.
        let functions = Property::ALL.iter().map(|it| it.name());
        let mut items = NameScope::new(functions.chain(Var::NAMES.iter().copied()));
        let levels = items.all(model.levels.iter().map(|it| it.name.to_uppercase()));
        let units = items.all(operands().map(|it| format!("{}_UNITS", it.to_uppercase())));
        let encoders = model.operands.iter().map(|it| {
            let name = &it.named.name;
            if it.is_constant() {
                name.to_uppercase()
            } else {
                format!("encode_{name}")
            }
        });
        let encoders = items.all(encoders);
        let instructions = instructions(model);
        let issuers = instructions.iter();
        let issuers = issuers.map(|(which, name)| (*which, items.give(name)));
        let issuers = issuers.collect();
        let workarounds = workarounds(model, &mut items);
        let forms = forms(model, &mut items);
        let views = views(model, &mut items);
        let erratum_sets = model.cpu_sets.iter();
        let erratum_sets = items.all(erratum_sets.map(|it| format!("{}_CPUS", upper(it))));
        let steps = 1..=FinishSteps::MOST;
        let steps = items.all(steps.map(|step| format!("FINISH_STEP_{step}")));
        let barrier = |barrier: usize| &model.barriers[barrier].named.name;
        let barriers = barriers.into_iter().map(|it| {
            let natural = format!("{}_or_{}", barrier(it.set), barrier(it.clear));
            (it, items.give(&natural))
        });
        let barriers = barriers.collect();
        let sets = sets.into_iter().map(|it| {
            let name = &model.invalidates[it.invalidate].named.name;
            (it, items.give(&format!("{name}_sets")))
        });
        let sets = sets.collect();
        let mut camels = NameScope::camel();
        let variants = instructions.into_iter();
        let variants = variants.map(|(which, name)| (which, camels.give(&camel(&name))));

        let limits = model.limits.iter().map(|it| it.named.name.clone());
        let of_features = model.features.iter().filter_map(|it| it.from.as_ref());
        let of_limits = model.limits.iter().filter_map(|it| it.from.as_ref());
        let registers = of_features
            .map(|it| &it.register)
            .chain(of_limits.map(|it| &it.register));
        let calls = model.invalidates.iter().filter_map(|it| it.call.as_ref());
        Self {
            flags,
            levels,
            limits: NameScope::new(["config"]).all(limits),
            // `asm!` takes these words for its own in the place of an operand.
            operands: NameScope::new(["clobber_abi", "options"]).all(operands().cloned()),
            encoders,
            units,
            variants: variants.collect(),
            issuers,
            barriers,
            sets,
            workarounds,
            forms,
            views,
            erratum_sets,
            steps,
            registers: once_each(registers, variable),
            calls: once_each(calls.map(|call| &call.value), str::to_owned),
            items: RefCell::new(items),
        }
    }

    /// Returns a name for another item of the module.
    pub fn item(&self, natural: &str) -> String {
        self.items.borrow_mut().give(natural)
    }

    /// Returns the constant of a flag of the configuration, by its bit: features, errata, and all geometries except the
    /// first.
    pub fn flag(&self, bit: usize) -> &str {
        &self.flags[bit]
    }

    /// Returns the constant of a level.
    pub fn level(&self, level: usize) -> String {
        self.levels[level].clone()
    }

    /// Returns the field of the backend for a limit.
    pub fn limit(&self, limit: usize) -> String {
        self.limits[limit].clone()
    }

    /// Returns the field of instructions for an operand.
    pub fn operand(&self, operand: usize) -> String {
        self.operands[operand].clone()
    }

    /// Returns the variant of an instruction.
    pub fn variant(&self, which: Which) -> &str {
        &self.variants[&which]
    }

    /// Returns the field for the value of a register.
    pub fn register(&self, register: &str) -> String {
        self.registers[register].clone()
    }

    /// Returns the function of the platform for a call.
    pub fn call(&self, call: &str) -> String {
        self.calls[call].clone()
    }

    /// Returns the choices of barriers that have a function.
    pub fn barriers(&self) -> impl Iterator<Item = FlagBarriers> {
        self.barriers.keys().copied()
    }

    /// Returns whether a choice of barriers has a function.
    pub fn has_barriers(&self, barriers: FlagBarriers) -> bool {
        self.barriers.contains_key(&barriers)
    }

    /// Returns the loops over sets that have a function.
    pub fn sets(&self) -> impl Iterator<Item = SetLoop> {
        self.sets.keys().copied()
    }

    /// Returns whether a loop over sets has a function.
    pub fn has_sets(&self, sets: SetLoop) -> bool {
        self.sets.contains_key(&sets)
    }

    /// Returns whether a form of an instruction has a constant.
    pub fn has_form(&self, invalidate: usize, form: usize) -> bool {
        self.forms.contains_key(&(invalidate, form))
    }

    /// Returns whether the tag of a view has a constant.
    pub fn has_view(&self, space: Space, view: usize) -> bool {
        self.views.contains_key(&(space, view))
    }

    /// Returns the name of a private item.
    pub fn private(&self, item: Private) -> String {
        match item {
            Private::Function(function) => function.name().to_owned(),
            Private::Encoder(operand) => self.encoders[operand].clone(),
            Private::Units(operand) => self.units[operand].clone(),
            Private::Issuer(which) => self.issuers[&which].clone(),
            Private::Barriers(barriers) => self.barriers[&barriers].clone(),
            Private::Sets(sets) => self.sets[&sets].clone(),
            Private::Workaround(erratum, number) => self.workarounds[&(erratum, number)].clone(),
            Private::Form(invalidate, form) => self.forms[&(invalidate, form)].clone(),
            Private::ErratumSet(set) => self.erratum_sets[set].clone(),
            Private::FinishStep(step) => self.steps[step].clone(),
            Private::View(space, view) => self.views[&(space, view)].clone(),
        }
    }
}

/// Returns an identifier for each name that occurs.
fn once_each<'n>(
    names: impl Iterator<Item = &'n String>,
    natural: impl Fn(&str) -> String,
) -> BTreeMap<String, String> {
    let mut scope = NameScope::new([]);
    let mut given = BTreeMap::new();
    for name in names {
        let give = || scope.give(&natural(name));
        given.entry(name.clone()).or_insert_with(give);
    }
    given
}

/// Returns the names of instructions. A register may have the name of another instruction.
fn instructions(model: &Model) -> Vec<(Which, String)> {
    let barriers = model.barriers.iter().enumerate();
    let barriers = barriers.map(|(index, it)| (Which::Barrier(index), it.named.name.clone()));
    let invalidates = model.invalidates.iter().enumerate();
    let invalidates =
        invalidates.map(|(index, it)| (Which::Invalidate(index), it.named.name.clone()));
    let loads = model.loads.iter().enumerate();
    let loads = loads.map(|(index, it)| (Which::Load(index), format!("load_{}", it.named.name)));
    barriers.chain(invalidates).chain(loads).collect()
}

/// Returns the names of workarounds. Those of an erratum with the same steps share one.
fn workarounds(model: &Model, scope: &mut NameScope) -> BTreeMap<(usize, usize), String> {
    let mut names: BTreeMap<(usize, usize), String> = BTreeMap::new();
    for (index, erratum) in model.errata.iter().enumerate() {
        for (number, workaround) in erratum.workarounds.iter().enumerate() {
            let mut others = erratum.workarounds.iter();
            let first = others.position(|it| it.steps_are_of(workaround));
            let first = first.and_then(|first| names.get(&(index, first)));
            let name = first.cloned().unwrap_or_else(|| {
                let last = workaround.issue.last().map(|issued| match issued.instr {
                    Instr::Barrier(barrier) => &model.barriers[barrier].named.name,
                    Instr::Invalidate(invalidate) => &model.invalidates[invalidate].named.name,
                });
                let last = last.map_or("nothing", String::as_str);
                scope.give(&format!("{}_by_{last}", erratum.named.name))
            });
            names.insert((index, number), name);
        }
    }
    names
}

/// Returns the names of forms.
fn forms(model: &Model, scope: &mut NameScope) -> BTreeMap<(usize, usize), String> {
    let mut names = BTreeMap::new();
    for (index, it) in model.invalidates.iter().enumerate() {
        for (form, it_form) in it.forms.iter().enumerate() {
            if let Some((named, _)) = &it_form.named {
                let name = format!("{}_{}", it.named.name, named.name).to_uppercase();
                names.insert((index, form), scope.give(&name));
            }
        }
    }
    names
}

/// Returns the names of the bits of views.
fn views(model: &Model, scope: &mut NameScope) -> BTreeMap<(Space, usize), String> {
    let mut names = BTreeMap::new();
    for space in [Space::User, Space::Kernel] {
        for (index, view) in model.space(space).views.iter().enumerate() {
            if view.or != 0 {
                let name = format!("{}_VIEW", view.named.name.to_uppercase());
                names.insert((space, index), scope.give(&name));
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_over_unless_it_is_taken() {
        let mut scope = NameScope::new(["config"]);
        let names = [
            "pages", "pages", "config", "fn", "gen", "_", "__", "a__b", "a_b", "pages_2",
        ];
        let given = names.map(|name| scope.give(name));
        let expected = [
            "pages",
            "pages_2",
            "config_2",
            "fn_2",
            "gen_2",
            "_2",
            "_3",
            "a_b",
            "a_b_2",
            "pages_2_2",
        ];
        assert_eq!(given, expected);
    }

    #[test]
    fn names_in_camel_case_begin_with_no_digit() {
        let mut scope = NameScope::camel();
        let names = [
            "complete",
            "complete_",
            "_complete",
            "self",
            "_",
            "__",
            "_1",
            "load_root",
        ];
        let given = names.map(|name| scope.give(&camel(name)));
        let expected = [
            "Complete",
            "Complete2",
            "Complete3",
            "Self2",
            "_2",
            "_3",
            "_1",
            "LoadRoot",
        ];
        assert_eq!(given, expected);
    }
}
