//! The configuration word, and the tables that depend on it.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use tlbc_runtime::request::LevelFacts;

use super::operands::arms_by_level;
use super::{Emit, doc};
use crate::model::{Cases, Cond, Config, Known, Var};

/// A flag of the configuration.
struct Flag<'m> {
    /// Its name in the definition.
    name: &'m str,
    constant: Ident,
    text: String,
}

impl Emit<'_> {
    /// Returns the flags of a configuration word: features, errata, and all geometries except the first.
    fn flags(&self) -> Vec<Flag<'_>> {
        let model = self.model;
        let features = (model.features.iter().enumerate())
            .map(|(index, f)| (&f.named, self.feature_text(index)));
        let errata = model
            .errata
            .iter()
            .map(|e| (&e.named, format!("Erratum: {}.", e.named.text)));
        let geometries = (model.geometries.iter().skip(1)).map(|g| {
            let page = 1u64 << g.page_shift >> 10;
            let text = format!("Pages of {page} KiB; at most one page size may be named.");
            (&g.named, text)
        });
        let flags = features
            .chain(errata)
            .chain(geometries)
            .zip(self.names.flags());
        let flags = flags.map(|((named, text), constant)| Flag {
            name: &named.name,
            constant,
            text,
        });
        flags.collect()
    }

    /// Returns the constant of a feature.
    pub(super) fn feature(&self, feature: usize) -> Ident {
        self.names.flag(feature)
    }

    /// Returns the constant of an erratum.
    pub(super) fn erratum(&self, erratum: usize) -> Ident {
        self.names.flag(self.model.features.len() + erratum)
    }

    /// Returns the constant of a geometry other than the first.
    fn geometry(&self, geometry: usize) -> Ident {
        self.names.flag(self.geometry_bit(geometry))
    }

    fn geometry_bit(&self, geometry: usize) -> usize {
        self.model.features.len() + self.model.errata.len() + geometry - 1
    }

    /// Returns the flags that each space has for itself, if there are any.
    pub(super) fn of_space(&self) -> Option<u32> {
        let features = self.model.features.iter().enumerate();
        let of_space = features.filter(|(_, feature)| feature.known == Known::Space);
        let mask = of_space.fold(0, |mask, (index, _)| mask | 1 << index);
        (mask != 0).then_some(mask)
    }

    /// Returns a condition over the configuration `c`; `None` if it always holds.
    pub(super) fn cond(&self, cond: &Cond) -> Option<TokenStream> {
        let mut all: Option<TokenStream> = None;
        for term in &cond.terms {
            let (var, wanted) = term.value;
            let is = match var {
                Var::Feature(feature) => {
                    let name = self.feature(feature);
                    quote!(c.has(Config::#name))
                }
                // The first page size has no flag.
                Var::Geometry(0) => {
                    let others = 1..self.model.geometries.len();
                    let mut others = others.map(|geometry| self.geometry(geometry));
                    let Some(first) = others.next() else {
                        if wanted {
                            continue;
                        }
                        return Some(quote!(false));
                    };
                    let others = quote!(Config::#first #(.with(Config::#others))*);
                    let not = wanted.then(|| quote!(!));
                    let is = quote!(#not c.has(#others));
                    and_also(&mut all, &is);
                    continue;
                }
                Var::Geometry(geometry) => {
                    let name = self.geometry(geometry);
                    quote!(c.has(Config::#name))
                }
                Var::Hinted => quote!(hint.is_some()),
                Var::Keep => quote!(keep),
            };
            let is = if wanted { is } else { quote!(!#is) };
            and_also(&mut all, &is);
        }
        all
    }

    /// Returns the value of the case that holds, as an expression; `otherwise` if none does.
    pub(super) fn cases<T>(
        &self,
        cases: &Cases<T>,
        otherwise: &TokenStream,
        value: impl Fn(&T) -> TokenStream,
    ) -> TokenStream {
        let mut chain = quote!();
        for (case, cond) in cases.cases.iter().rev() {
            let value = value(case);
            match self.cond(cond) {
                Some(cond) => chain = quote!(#chain if #cond { #value } else),
                None if chain.is_empty() => return value,
                None => return quote!(#chain { #value }),
            }
        }
        if chain.is_empty() {
            return otherwise.clone();
        }
        quote!(#chain { #otherwise })
    }

    pub(super) fn config(&self) -> TokenStream {
        let flags = self.flags();
        let consts = flags.iter().enumerate().map(|(bit, flag)| {
            let bit = Literal::usize_unsuffixed(bit);
            let (name, text) = (&flag.constant, doc(&flag.text));
            quote!(#text pub const #name: Self = Self(1 << #bit);)
        });
        let names = flags.iter().enumerate().map(|(bit, flag)| {
            let (bit, text) = (Literal::usize_unsuffixed(bit), flag.name);
            quote!((#text, Self(1 << #bit)))
        });
        let features = self.model.features.iter().map(|f| &f.needs);
        let errata = self.model.errata.iter().map(|e| &e.needs);
        let needs = features
            .chain(errata)
            .zip(&flags)
            .flat_map(|(needs, flag)| {
                let name = &flag.constant;
                needs.terms.iter().filter_map(move |term| {
                    let (Var::Feature(other), wanted) = term.value else {
                        return None;
                    };
                    let other = self.feature(other);
                    let not = wanted.then(|| quote!(!));
                    let unmet = quote!(self.has(Self::#name) && #not self.has(Self::#other));
                    Some(quote!(if #unmet { return false; }))
                })
            });
        let needs: TokenStream = needs.collect();
        let geometries = (1..self.model.geometries.len())
            .map(|geometry| 1u32 << self.geometry_bit(geometry))
            .sum::<u32>();
        let one_size = if geometries == 0 {
            quote!()
        } else {
            let mask = hex(u64::from(geometries));
            quote!(if (self.0 & #mask).count_ones() > 1 { return false; })
        };
        let count = Literal::usize_unsuffixed(flags.len());
        let every = hex((1u64 << flags.len()) - 1);
        let registers = self.register_values();
        let found = self.found_config();
        let of_space_flags = self.of_space().map(|_| {
            quote!(
                const OF_SPACE: SpaceFlags = Self::OF_SPACE;
            )
        });
        let of_space = self.of_space().map(|mask| {
            let mask = hex(u64::from(mask));
            quote! {
                /// The flags that each space has for itself.
                pub const OF_SPACE: SpaceFlags = SpaceFlags(#mask);

                /// Returns the flags that each space has for itself.
                #[must_use]
                pub const fn space_flags(self) -> SpaceFlags {
                    SpaceFlags(self.0).and(Self::OF_SPACE)
                }

            }
        });
        quote! {
            #registers

            /// The features, errata and page size of a machine, in one word.
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            #[repr(transparent)]
            pub struct Config(u32);

            impl Config {
                /// No feature, no erratum, and the first page size of the definition.
                pub const NONE: Self = Self(0);
                #(#consts)*
                /// Every flag by its name in the definition.
                pub const NAMES: [(&'static str, Self); #count] = [#(#names),*];

                /// Returns the configuration with another flag set.
                #[must_use]
                pub const fn with(self, flag: Self) -> Self {
                    Self(self.0 | flag.0)
                }

                /// Returns the flags as a word.
                #[must_use]
                pub const fn bits(self) -> u32 {
                    self.0
                }

                /// Returns the configuration of a word of flags. Unknown bits are ignored.
                #[must_use]
                #[inline(always)]
                pub const fn from_bits(bits: u32) -> Self {
                    Self(bits & #every)
                }

                #found

                /// Returns whether a flag is set.
                #[must_use]
                #[inline(always)]
                pub const fn has(self, flag: Self) -> bool {
                    self.0 & flag.0 != 0
                }

                #of_space

                /// Returns whether such a machine exists: every feature and erratum has what it needs.
                #[must_use]
                pub const fn is_possible(self) -> bool {
                    #needs
                    #one_size
                    true
                }
            }

            impl Flags for Config {
                #of_space_flags

                #[inline(always)]
                fn bits(self) -> u32 { self.0 }

                #[inline(always)]
                fn from_bits(bits: u32) -> Self { Self::from_bits(bits) }
            }
        }
    }

    /// Returns the levels: names, shifts, leaves and hints.
    pub(super) fn levels(&self, rest: &super::Body) -> TokenStream {
        let always = |index: usize| {
            let mut geometries = self.model.geometries.iter();
            geometries.all(|geometry| {
                let level = geometry.levels.get(index).and_then(Option::as_ref);
                level.is_some_and(|level| level.shift.conds().any(|when| when.terms.is_empty()))
            })
        };
        let names = self.model.levels.iter().enumerate().map(|(index, level)| {
            let name = self.names.level(index);
            let note = if (0..index).all(always) {
                ""
            } else {
                " It has the same number where levels below it do not exist."
            };
            let index = Literal::usize_unsuffixed(index);
            let text = doc(&format!("The level `{}`.{note}", level.name));
            quote!(#text pub const #name: Level = Level(#index);)
        });
        let shift = self.level_fn(
            |level| {
                let cases = level.shift.cases.iter().rev();
                let arms =
                    cases.map(|(shift, cond)| (self.cond(cond), unsuffixed(u64::from(*shift))));
                arms.collect()
            },
            &quote!(0),
        );
        let end = rest.mentions("end_of").then(|| {
            quote! {
                /// Returns the first address after the entry of a level at an address.
                #[inline(always)]
                const fn end_of(c: Config, va: u64, level: Level) -> u64 {
                    va.wrapping_add(1u64.wrapping_shl(shift_of(c, level)))
                }
            }
        });
        let shift = (end.is_some() || rest.mentions("shift_of")).then(|| {
            quote! {
                /// Returns log2 of the bytes that an entry of a level maps; 0 if the level does not exist.
                #[inline(always)]
                const fn shift_of(c: Config, level: Level) -> u32 { #shift }
            }
        });
        let hint = rest.mentions("hint_of").then(|| {
            let body = self.level_fn(
                |level| {
                    let hint = level.hint.map(|at| unsuffixed(at.value));
                    hint.into_iter()
                        .map(|hint| (None, quote!(Some(#hint))))
                        .collect()
                },
                &quote!(None),
            );
            quote! {
                /// Returns the number of a level in operands, if it has one.
                #[inline(always)]
                const fn hint_of(c: Config, level: Level) -> Option<u64> { #body }
            }
        });
        let granule = rest.mentions("granule").then(|| {
            let body = self.by_geometry(|g| unsuffixed(g.granule.map_or(0, |at| at.value)));
            quote! {
                /// Returns the number of the page size in operands.
                #[inline(always)]
                const fn granule(c: Config) -> u64 { #body }
            }
        });
        let page = rest.mentions("page_shift").then(|| {
            let body = self.by_geometry(|g| unsuffixed(u64::from(g.page_shift)));
            quote! {
                /// Returns log2 of the page size.
                #[inline(always)]
                const fn page_shift(c: Config) -> u32 { #body }
            }
        });
        let table = using_c(self.nth_geometry(|geometry| self.level_table(geometry)));
        quote! {
            #(#names)*

            /// Returns the levels of a configuration.
            #[inline]
            const fn level_table(c: Config) -> &'static LevelTable { #table }

            #shift

            #end
            #hint
            #granule
            #page
        }
    }

    /// Returns the tables of a geometry. Each is a constant, because the compiler uses vector registers for a table
    /// on the stack.
    fn level_table(&self, geometry: usize) -> TokenStream {
        let levels = self.model.geometries[geometry].levels.iter().flatten();
        let conds = levels.flat_map(|level| {
            let shifts = level.shift.cases.iter().map(|(_, cond)| cond);
            shifts.chain(&level.leaf)
        });
        let vars = conds.flat_map(|cond| &cond.terms).map(|term| term.value.0);
        let mut features: Vec<usize> = vars
            .filter_map(|var| match var {
                Var::Feature(feature) => Some(feature),
                _ => None,
            })
            .collect();
        features.sort_unstable();
        features.dedup();
        let config = Config {
            geometry,
            ..Config::default()
        };
        self.level_table_with(&features, config)
    }

    /// Returns the tables of a configuration, and of those that have some of `features` as well.
    fn level_table_with(&self, features: &[usize], config: Config) -> TokenStream {
        let Some((&feature, others)) = features.split_first() else {
            let table = self.model.level_table(config);
            let facts = table.map(|level| {
                let (shift, joined) = (level.shift, level.joined);
                let shift = Literal::u32_unsuffixed(shift);
                let joined = Literal::u32_unsuffixed(joined);
                let merged = level.merged.then(|| quote!(.merged()));
                match level {
                    LevelFacts::NONE => quote!(LevelFacts::NONE),
                    LevelFacts { leaf: false, .. } => quote!(LevelFacts::table(#shift)),
                    LevelFacts { joined: 0, .. } => quote!(LevelFacts::leaf(#shift) #merged),
                    _ => quote!(LevelFacts::joined(#shift, #joined) #merged),
                }
            });
            return quote!(const { &[#(#facts),*] });
        };
        let mut having = config;
        having.features |= 1 << feature;
        let having = self.level_table_with(others, having);
        let lacking = self.level_table_with(others, config);
        let lacking = if others.is_empty() {
            quote!({ #lacking })
        } else {
            lacking
        };
        let name = self.feature(feature);
        quote!(if c.has(Config::#name) { #having } else #lacking)
    }

    /// Returns a match over levels in each geometry, with arms for values that are not the default.
    fn level_fn(
        &self,
        arms: impl Fn(&crate::model::Level) -> Vec<(Option<TokenStream>, TokenStream)>,
        default: &TokenStream,
    ) -> TokenStream {
        let table = |geometry: usize| {
            let levels = self.model.geometries[geometry].levels.iter().enumerate();
            let arms = levels.filter_map(|(index, level)| Some((index, arms(level.as_ref()?))));
            let arms = arms.flat_map(|(index, arms)| {
                arms.into_iter()
                    .map(move |(guard, value)| (index, guard, value))
            });
            let arms = arms_by_level(arms);
            quote!(match level.0 { #arms _ => #default })
        };
        using_c(self.nth_geometry(table))
    }

    fn by_geometry(&self, value: impl Fn(&crate::model::Geometry) -> TokenStream) -> TokenStream {
        using_c(self.nth_geometry(|geometry| value(&self.model.geometries[geometry])))
    }

    /// Returns the value of each geometry, with as few tests as possible.
    fn nth_geometry(&self, value: impl Fn(usize) -> TokenStream) -> TokenStream {
        let first = value(0);
        let mut branches: Vec<(TokenStream, TokenStream)> = Vec::new();
        for geometry in 1..self.model.geometries.len() {
            let name = self.geometry(geometry);
            let (test, value) = (quote!(c.has(Config::#name)), value(geometry));
            let text = value.to_string();
            if text == first.to_string() {
                continue;
            }
            match branches
                .iter_mut()
                .find(|(_, other)| other.to_string() == text)
            {
                Some((tests, _)) => *tests = quote!(#tests || #test),
                None => branches.push((test, value)),
            }
        }
        if branches.is_empty() {
            return first;
        }
        let branches = branches
            .into_iter()
            .map(|(test, value)| quote!(if #test { #value } else));
        quote!(#(#branches)* { #first })
    }
}

/// Adds a condition to a conjunction.
fn and_also(all: &mut Option<TokenStream>, is: &TokenStream) {
    *all = Some(match all.take() {
        None => is.clone(),
        Some(before) => quote!(#before && #is),
    });
}

/// Returns an expression that uses the parameter `c`, to avoid a warning.
fn using_c(expression: TokenStream) -> TokenStream {
    if super::operands::mentions(&expression, "c") {
        expression
    } else {
        quote!({ let _ = c; #expression })
    }
}

/// Returns a decimal literal without a suffix.
pub fn unsuffixed(number: u64) -> TokenStream {
    let literal = Literal::u64_unsuffixed(number);
    quote!(#literal)
}

/// Returns a decimal literal of a word.
pub fn suffixed(number: u64) -> TokenStream {
    let literal = Literal::u64_suffixed(number);
    quote!(#literal)
}

/// Returns a hexadecimal literal, in groups of four digits.
pub fn hex(number: u64) -> TokenStream {
    let digits = format!("{number:x}");
    let mut out = String::from("0x");
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 4 == 0 {
            out.push('_');
        }
        out.push(digit);
    }
    out.parse().unwrap_or_else(|_| unsuffixed(number))
}
