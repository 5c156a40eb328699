//! Machines as both sides have them: a configuration of the model, and the generated backend made for it.

use tlbc::Analysis;
use tlbc::model::{Config, Known, Model};
use tlbc::trace::interpret::ceiling;
use tlbc_runtime::Backend;
use tlbc_runtime::clause::LEVELS;
use tlbc_runtime::request::{Conditions, Reach, Space};

use crate::Issued;

/// A generated backend, as far as the trait does not say it.
pub trait Machine: Backend + Sized {
    /// Every flag of its configuration.
    fn flags() -> Vec<&'static str>;
    /// A machine with those flags and limits; none where it cannot be.
    fn new(has: &dyn Fn(&str) -> bool, limit: &dyn Fn(&str) -> u64) -> Option<Self>;
    /// The name of an instruction, and its operands by name.
    fn describe(op: Self::Op) -> Issued;
}

pub const SPACES: [Space; 2] = [Space::User, Space::Kernel];
pub const REACHES: [Reach; 2] = [Reach::Here, Reach::Wide];

/// Every configuration, possible or not.
pub fn configs(model: &Model) -> impl Iterator<Item = Config> {
    let features = 0..1u32 << model.features.len();
    let errata = 1u32 << model.errata.len();
    let geometries = model.geometries.len();
    features.flat_map(move |features| {
        (0..errata).flat_map(move |errata| {
            (0..geometries).map(move |geometry| Config {
                features,
                errata,
                geometry,
            })
        })
    })
}

/// What of a configuration holds of a space and not of the machine.
pub fn conditions(model: &Model, config: Config) -> Conditions {
    let features = model.features.iter().enumerate();
    let of_space = features.filter(|(_, feature)| feature.known == Known::Space);
    Conditions(of_space.fold(0, |bits, (index, _)| bits | config.features & 1 << index))
}

/// The generated machine of a configuration, whatever holds of a space.
pub fn machine_of<M: Machine>(model: &Model, config: Config, limits: &[u64]) -> Option<M> {
    let of_space = conditions(model, config).0;
    let config = Config {
        features: config.features & !of_space,
        ..config
    };
    machine(model, config, limits)
}

/// Whether a configuration has a flag of that name.
fn has(model: &Model, config: Config, name: &str) -> bool {
    let feature = model.features.iter().position(|f| f.named.name == name);
    let erratum = model.errata.iter().position(|e| e.named.name == name);
    let geometry = model.geometries.iter().position(|g| g.named.name == name);
    match (feature, erratum, geometry) {
        (Some(feature), None, None) => config.has(feature),
        (None, Some(erratum), None) => config.suffers(erratum),
        (None, None, Some(geometry)) => geometry == config.geometry,
        _ => panic!("`{name}` is no flag of the definition, or several"),
    }
}

/// The generated machine of a configuration.
fn machine<M: Machine>(model: &Model, config: Config, limits: &[u64]) -> Option<M> {
    M::new(&|name| has(model, config, name), &|name| {
        let index = model.limits.iter().position(|l| l.named.name == name);
        limits[index.expect("a limit of the definition")]
    })
}

/// The most that every limit may be.
pub fn most(model: &Model) -> Vec<u64> {
    model.limits.iter().map(|limit| limit.most).collect()
}

/// The first address of a space, and how many bits it has.
pub fn addresses(model: &Model, space: Space, config: Config) -> (u64, u32) {
    let addresses = model.space(space).addresses.get(config);
    let addresses = addresses.expect("the addresses of a space");
    (addresses.base, addresses.bits)
}

pub fn a_machine_is_what_the_definition_says<M: Machine>(Analysis { model, .. }: &Analysis) {
    let flags = M::flags().len();
    let expected = model.features.len() + model.errata.len() + model.geometries.len() - 1;
    assert_eq!(flags, expected, "the first geometry has no flag");
    assert_eq!(M::FACTS.name, model.arch.name);
    let names = model.levels.iter().map(|level| level.name.as_str());
    let mut levels = [""; LEVELS];
    names.zip(&mut levels).for_each(|(name, slot)| *slot = name);
    assert_eq!(M::FACTS.level_names, levels);
    for config in configs(model) {
        let tlb = machine::<M>(model, config, &most(model));
        assert_eq!(tlb.is_some(), model.possible(config), "{config:?}");
        let Some(tlb) = tlb else { continue };
        assert_eq!(*tlb.levels(), model.level_table(config), "{config:?}");
        let found = tlb.change_facts(conditions(model, config));
        assert_eq!(found, model.change_facts(config), "{config:?}");
        for (space, reach) in SPACES.iter().flat_map(|s| REACHES.map(|r| (*s, r))) {
            let one_by_one = tlb.ceiling(space, reach);
            let (operations, pages) = (one_by_one.operations, one_by_one.pages);
            let stated = ceiling(model, config, space, reach);
            assert_eq!((operations, pages), stated, "{config:?}");
        }
    }
    assert!(
        M::new(&|name| geometry_flag(model, name), &|_| 1).is_none() || model.geometries.len() < 3,
        "two geometries at once are no machine"
    );
}

fn geometry_flag(model: &Model, name: &str) -> bool {
    model.geometries.iter().any(|g| g.named.name == name)
}
