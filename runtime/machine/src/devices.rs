//! Devices that walk the tables of spaces and keep translations of their own.

use crate::history::Event;
use crate::machine::{MOST_DEVICES, Machine};
use crate::memory::TableId;
use crate::op::Told;
use crate::state::State;

impl Machine {
    /// Adds a device that walks nothing yet. Returns its number. To be called before pages or tables get another owner.
    ///
    /// # Panics
    /// When the machine has as many devices as it can have.
    pub fn add_device(&self, told: Told) -> usize {
        let device = self.devices.get();
        assert!(device < MOST_DEVICES, "too many devices");
        self.devices.set(device + 1);
        let walker = self.walker(device);
        self.state.borrow_mut().walkers[walker].device = Some(told);
        device
    }

    /// A device begins to walk a root, and to use what it finds. A tag is that of the space, where broadcasts reach the
    /// device.
    ///
    /// # Panics
    /// When there is no such device.
    pub fn attach_device(&self, device: usize, root: TableId, tag: u64) {
        assert!(device < self.devices.get(), "no such device");
        self.note(Event::Walks { device, root, tag });
        let device = self.walker(device);
        let loaded = self.loaded_for(device, Some(root));
        self.step(&[device], |state, device| {
            let walker = &mut state.walkers[device];
            (walker.root, walker.tag) = (Some(root), tag);
            (walker.uses, walker.rests) = (true, false);
            state.fill(device, loaded.as_ref());
        });
    }

    /// A device walks no more, and uses what it has until it is made to drop that.
    pub fn detach_device(&self, device: usize) {
        self.note(Event::Rests { device });
        self.step(&[self.walker(device)], |state, device| {
            state.walkers[device].rests = true;
        });
    }

    /// Their drivers make devices drop all that they have.
    pub fn drop_devices(&self) {
        self.step(&self.devices_told(Told::ByDriver), State::drop_device);
    }

    /// Whether there are devices that are told in a way.
    #[must_use]
    pub fn has_devices(&self, told: Told) -> bool {
        !self.devices_told(told).is_empty()
    }

    /// The pages that devices may be using which are told in a way.
    #[must_use]
    pub fn devices_use(&self, told: Told) -> Vec<usize> {
        let devices = self.devices_told(told);
        let state = self.state.borrow();
        let leaves = devices
            .into_iter()
            .flat_map(|device| &state.walkers[device].tlb.leaves);
        leaves.map(|leaf| leaf.frame).collect()
    }

    /// The walkers that are devices and are told in a way.
    pub(crate) fn devices_told(&self, told: Told) -> Vec<usize> {
        let state = self.state.borrow();
        (0..self.devices.get())
            .map(|device| self.walker(device))
            .filter(|walker| state.walkers[*walker].device == Some(told))
            .collect()
    }

    fn walker(&self, device: usize) -> usize {
        self.cpus + device
    }
}
