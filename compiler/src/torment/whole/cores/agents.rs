//! CPUs that boot and stop, and devices.
//!
//! In: what an agent is. Out: the class in which instructions reach it. Holds: the walker of a device that is stopped
//! stands still, and the entries of a CPU that is offline stay.

use tlbc_runtime::agents::Agents;
use tlbc_runtime::request::{Space, SpaceId};

use super::device::DeviceKind;
use super::history::EntryKey;
use super::weak::Weakness;
use super::{Core, Cores, Held};
use crate::torment::decode::{Act, Hardware};
use crate::trace::interpret::Op;

impl<'m> Cores<'m> {
    /// Decodes an instruction, and returns the agents that it does not reach: devices if its operands are only those for a
    /// space that no device shares.
    pub(super) fn decode(&self, op: &Op) -> Result<(Act<'m>, Agents), String> {
        let alone = self.hardware.decode(&self.same_instructions, op);
        if self.with_devices.config == self.hardware.config {
            return Ok((alone?, Agents::NONE));
        }
        match (alone, self.with_devices.decode(&self.same_instructions, op)) {
            (Ok(act), Err(_)) => Ok((act, Agents::DEVICE)),
            (Ok(act), Ok(_)) | (Err(_), Ok(act)) => Ok((act, Agents::NONE)),
            (Err(why), Err(_)) => Err(why),
        }
    }

    /// Lets a CPU boot with tables of its own, unless the definition says that it has nothing cached when it comes online. The
    /// code that turned translation on has flushed what could be used with these tables: entries under their tag, and those
    /// that every tag finds. What the CPU fills from its tables afterwards it has at addresses of the kernel as well.
    pub fn boot(&mut self, cpu: usize, top: usize, tag: u64) {
        let fixed = self.fixed_tag();
        let is_clean = self.hardware.model.online_clean(self.hardware.config)
            || self.is_weak(Weakness::BootsClean);
        let core = &mut self.all[cpu];
        core.boots = true;
        if is_clean {
            core.root = None;
            return core.held.clear();
        }
        (core.root, core.tag) = (Some(top), tag);
        let is_usable = |key: &EntryKey| key.global || key.tag == tag || Some(key.tag) == fixed;
        core.held.retain(|held| !is_usable(&held.key));
        self.settle();
        let to_kernel = self.to_kernel();
        let loaded = |held: &&Held| held.key.space == Space::User && held.key.tag == tag;
        let filled = self.all[cpu].held.iter().filter(loaded).cloned();
        for mut held in filled.collect::<Vec<_>>() {
            held.key.space = Space::Kernel;
            held.key.va = held.key.va.wrapping_add(to_kernel);
            (held.key.tag, held.key.global) = self.tag_of(cpu, Space::Kernel, held.key.entry.kind);
            self.add(cpu, &held, 0);
        }
    }

    /// Returns how far from addresses of the user space those of the kernel are at which the tables that a CPU boots with map
    /// the same.
    pub(super) fn to_kernel(&self) -> u64 {
        let Hardware { model, config, .. } = self.hardware;
        let base = |space| {
            let addresses = &model.space(space).addresses;
            addresses.get(config).map_or(0, |it| it.base)
        };
        base(Space::Kernel).wrapping_sub(base(Space::User))
    }

    /// Stops a CPU. Its walker may go on, unless the root that it has loaded is the one of tables that the kernel changes.
    pub fn offline(&mut self, cpu: usize) {
        let kernel = self.kernel_top;
        let core = &mut self.all[cpu];
        core.root = core.root.filter(|root| Some(*root) != kernel);
    }

    /// Notes whether a CPU uses what the kernel maps and unmaps.
    pub fn use_kernel(&mut self, cpu: usize, uses: bool) {
        let core = &mut self.all[cpu];
        (core.kernel, core.walks_kernel) = (uses, uses);
        self.settle();
    }

    /// Starts a device of a CPU, which walks tables of a space.
    pub fn start_device(
        &mut self,
        cpu: usize,
        kind: DeviceKind,
        (space, top, tag): (usize, usize, u64),
    ) {
        let walks = !self.is_weak(Weakness::IdleDevices);
        self.all[self.cpus + cpu] = Core {
            root: walks.then_some(top),
            tag,
            user: Some(space),
            device: Some(kind),
            ..Core::default()
        };
        self.settle();
    }

    /// Stops the walker of a device. It still uses the entries that it has.
    pub fn stop_device(&mut self, cpu: usize) {
        self.all[self.cpus + cpu].root = None;
    }

    /// Takes a device off the bus.
    pub fn remove_device(&mut self, cpu: usize) {
        self.all[self.cpus + cpu] = Core::default();
    }

    /// Invalidates what devices of a space have whose entries only their driver can invalidate.
    pub fn invalidate_by_drivers(&mut self, space: SpaceId) {
        self.publish();
        let of_space = |core: &&mut Core| core.device == Some(DeviceKind::Driver(space));
        self.all
            .iter_mut()
            .filter(of_space)
            .for_each(|core| core.held.clear());
        self.settle();
    }
}
