//! Machines: a configuration of the model, and the generated backend with the same configuration.

use tlbc::model::{Config, Model};
use tlbc_runtime::backend::{Facts, Finished, Started};
use tlbc_runtime::pte::{Change, ChangeFacts, Changed, Owner, Slot};
use tlbc_runtime::request::{LevelTable, Reach, Request, Space, SpaceFlags};
use tlbc_runtime::{Backend, Ceiling, Deferred, Pending, Record, Root, Tags};

use super::Issued;

/// A generated backend with a configuration. Its methods append the instructions that they issue to a list.
pub trait Machine {
    /// [`Backend::sender_only`].
    fn sender_only(&self) -> SpaceFlags;
    /// [`Backend::levels`].
    fn levels(&self) -> &'static LevelTable;
    /// [`Backend::ceiling`].
    fn ceiling(&self, space: Space, reach: Reach) -> Ceiling;
    /// [`Backend::tags`].
    fn tags(&self) -> Tags;
    /// [`Backend::sends_ipis`].
    fn sends_ipis(&self) -> bool;
    /// [`Backend::change_facts`].
    fn change_facts(&self, flags: SpaceFlags) -> ChangeFacts;
    /// [`Backend::change`].
    fn change(
        &self,
        to: &mut Vec<Issued>,
        slot: &Slot<'_>,
        change: &Change,
        owner: &Owner,
    ) -> Changed;
    /// [`Backend::publish`].
    fn publish(&self, to: &mut Vec<Issued>, space: Space);
    /// [`Backend::start`].
    fn start(&self, to: &mut Vec<Issued>, request: &Request<'_>) -> Started;
    /// [`Backend::finish`].
    fn finish(&self, to: &mut Vec<Issued>, started: Started) -> Finished;
    /// [`Backend::handle`].
    fn handle(&self, to: &mut Vec<Issued>, request: &Request<'_>) -> Deferred;
    /// [`Backend::switch`].
    fn switch(&self, to: &mut Vec<Issued>, root: &Root, pending: Pending) -> Deferred;
    /// [`Backend::load_tag`].
    fn load_tag(&self, to: &mut Vec<Issued>, root: &Root, pending: Pending) -> Deferred;
    /// [`Backend::return_to_user`].
    fn return_to_user(&self, to: &mut Vec<Issued>, root: &Root, deferred: bool);
    /// [`Backend::enter_from_user`].
    fn enter_from_user(&self, to: &mut Vec<Issued>, root: &Root);
    /// [`Backend::cpu_online`].
    fn cpu_online(&self, to: &mut Vec<Issued>) -> Deferred;
}

/// A backend, with the names of its instructions.
pub struct Generated<B: Backend> {
    /// The backend.
    pub tlb: B,
    /// The name of an instruction, and its operands by name.
    pub describe: fn(B::Op) -> Issued,
}

impl<B: Backend> Generated<B> {
    fn sink(&self, to: &mut Vec<Issued>) -> Record<impl FnMut(B::Op)> {
        Record(|op| to.push((self.describe)(op)))
    }
}

impl<B: Backend> Machine for Generated<B> {
    fn sender_only(&self) -> SpaceFlags {
        B::sender_only()
    }

    fn levels(&self) -> &'static LevelTable {
        self.tlb.levels()
    }

    fn ceiling(&self, space: Space, reach: Reach) -> Ceiling {
        self.tlb.ceiling(space, reach)
    }

    fn tags(&self) -> Tags {
        self.tlb.tags()
    }

    fn sends_ipis(&self) -> bool {
        self.tlb.sends_ipis()
    }

    fn change_facts(&self, flags: SpaceFlags) -> ChangeFacts {
        self.tlb.change_facts(flags)
    }

    fn change(
        &self,
        to: &mut Vec<Issued>,
        slot: &Slot<'_>,
        change: &Change,
        owner: &Owner,
    ) -> Changed {
        self.tlb.change(&mut self.sink(to), slot, change, owner)
    }

    fn publish(&self, to: &mut Vec<Issued>, space: Space) {
        self.tlb.publish(&mut self.sink(to), space);
    }

    fn start(&self, to: &mut Vec<Issued>, request: &Request<'_>) -> Started {
        self.tlb.start(&mut self.sink(to), request)
    }

    fn finish(&self, to: &mut Vec<Issued>, started: Started) -> Finished {
        self.tlb.finish(&mut self.sink(to), started)
    }

    fn handle(&self, to: &mut Vec<Issued>, request: &Request<'_>) -> Deferred {
        self.tlb.handle(&mut self.sink(to), request)
    }

    fn switch(&self, to: &mut Vec<Issued>, root: &Root, pending: Pending) -> Deferred {
        self.tlb.switch(&mut self.sink(to), root, pending)
    }

    fn load_tag(&self, to: &mut Vec<Issued>, root: &Root, pending: Pending) -> Deferred {
        self.tlb.load_tag(&mut self.sink(to), root, pending)
    }

    fn return_to_user(&self, to: &mut Vec<Issued>, root: &Root, deferred: bool) {
        self.tlb.return_to_user(&mut self.sink(to), root, deferred);
    }

    fn enter_from_user(&self, to: &mut Vec<Issued>, root: &Root) {
        self.tlb.enter_from_user(&mut self.sink(to), root);
    }

    fn cpu_online(&self, to: &mut Vec<Issued>) -> Deferred {
        self.tlb.cpu_online(&mut self.sink(to))
    }
}

/// Makes a backend with some flags, and with limits in the order of the definition. `None` if no machine has these flags.
pub type Make = fn(&dyn Fn(&str) -> bool, &[u64]) -> Option<Box<dyn Machine>>;

/// A generated module: made by [`generated!`](crate::generated).
pub struct Module {
    /// The facts of its backend.
    pub facts: Facts,
    /// The flags of its configuration, by their names in the definition.
    pub flags: Vec<&'static str>,
    /// Its backend.
    pub make: Make,
}

/// Makes the [`Module`] of a path, followed by the limits of its backend in the order of the definition:
/// `generated!(tlbc_backends::arm64 {})`.
#[macro_export]
macro_rules! generated {
    ($($module:ident)::+ { $($limit:ident)* }) => {{
        use $($module)::+::{Config, Op, Tlb};
        fn describe(op: Op) -> $crate::differential::Issued {
            let mut operands = Vec::new();
            op.operands(|name, bits| operands.push((name.to_owned(), bits)));
            (op.name().to_owned(), operands)
        }
        fn make(
            has: &dyn Fn(&str) -> bool,
            limits: &[u64],
        ) -> Option<Box<dyn $crate::differential::Machine>> {
            let flags = Config::NAMES.iter().filter(|(name, _)| has(name));
            let config = flags.fold(Config::NONE, |config, (_, flag)| config.with(*flag));
            let mut limits = limits.iter().map(|limit| u32::try_from(*limit).expect("a limit"));
            let tlb = Tlb { config, $($limit: limits.next().expect("a limit")),* };
            assert_eq!(limits.next(), None, "a limit is left out");
            let made = $crate::differential::Generated { tlb, describe };
            config.is_possible().then(|| Box::new(made) as Box<_>)
        }
        $crate::differential::Module {
            facts: <Tlb as $crate::differential::Backend>::FACTS,
            flags: Config::NAMES.iter().map(|(name, _)| *name).collect(),
            make,
        }
    }};
}

pub const SPACES: [Space; 2] = [Space::User, Space::Kernel];
pub const REACHES: [Reach; 2] = [Reach::Here, Reach::Wide];

/// Returns the flags of a configuration that belong to a space instead of the machine.
pub fn space_flags(model: &Model, config: Config) -> SpaceFlags {
    SpaceFlags(config.features & model.features_of_space())
}

/// Returns the generated machine of a configuration, without the flags of spaces.
pub fn machine_of(
    module: &Module,
    model: &Model,
    config: Config,
    limits: &[u64],
) -> Option<Box<dyn Machine>> {
    let of_space = space_flags(model, config).0;
    let config = Config {
        features: config.features & !of_space,
        ..config
    };
    machine(module, model, config, limits)
}

/// Returns whether a configuration has a flag of that name.
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

/// Returns the generated machine of a configuration.
pub fn machine(
    module: &Module,
    model: &Model,
    config: Config,
    limits: &[u64],
) -> Option<Box<dyn Machine>> {
    (module.make)(&|name| has(model, config, name), limits)
}

/// Returns the largest value of every limit.
pub fn most(model: &Model) -> Vec<u64> {
    model.limits.iter().map(|limit| limit.most).collect()
}

/// Returns the first address of a space and the number of its address bits.
pub fn addresses(model: &Model, space: Space, config: Config) -> (u64, u32) {
    let addresses = model.space(space).addresses.get(config);
    let addresses = addresses.expect("the addresses of a space");
    (addresses.base, addresses.bits)
}
