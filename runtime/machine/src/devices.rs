//! Devices that walk the tables of spaces and have TLBs of their own.

use crate::history::HistoryEvent;
use crate::machine::{MOST_DEVICES, Machine};
use crate::memory::TableId;
use crate::op::DeviceFlush;
use crate::state::State;

impl Machine {
    /// Adds a device that walks no table yet, and returns its number. It must be called before pages or tables change
    /// owner.
    ///
    /// # Panics
    /// If the machine already has its maximum of devices.
    pub fn add_device(&self, by: DeviceFlush) -> usize {
        let device = self.devices.get();
        assert!(device < MOST_DEVICES, "too many devices");
        self.devices.set(device + 1);
        let walker = self.walker(device);
        self.state.borrow_mut().walkers[walker].device = Some(by);
        device
    }

    /// Makes a device walk a root, and use the pages that it finds. If broadcasts reach the device, `tag` is the tag of
    /// the space.
    ///
    /// # Panics
    /// If there is no such device.
    pub fn attach_device(&self, device: usize, root: TableId, tag: u64) {
        assert!(device < self.devices.get(), "no such device");
        self.note(HistoryEvent::Walks { device, root, tag });
        let device = self.walker(device);
        let loaded = self.loaded_for(device, Some(root));
        self.step(&[device], |state, device| {
            let walker = &mut state.walkers[device];
            (walker.root, walker.tag) = (Some(root), tag);
            (walker.uses, walker.rests) = (true, false);
            state.fill(device, loaded.as_ref());
        });
    }

    /// Makes a device stop walking. It still uses the entries that it has cached, until they are invalidated.
    pub fn detach_device(&self, device: usize) {
        self.note(HistoryEvent::Rests { device });
        self.step(&[self.walker(device)], |state, device| {
            state.walkers[device].rests = true;
        });
    }

    /// Invalidates everything in the devices whose drivers do that.
    pub fn invalidate_devices(&self) {
        self.step(
            &self.devices_flushed(DeviceFlush::ByDriver),
            State::invalidate_device,
        );
    }

    /// Returns whether there are devices that are flushed in this way.
    #[must_use]
    pub fn has_devices(&self, by: DeviceFlush) -> bool {
        !self.devices_flushed(by).is_empty()
    }

    /// Returns the pages that devices which are flushed in this way may be using.
    #[must_use]
    pub fn devices_use(&self, by: DeviceFlush) -> Vec<usize> {
        let devices = self.devices_flushed(by);
        let state = self.state.borrow();
        let leaves = devices
            .into_iter()
            .flat_map(|device| &state.walkers[device].tlb.leaves);
        leaves.map(|leaf| leaf.frame).collect()
    }

    /// Returns the walkers that are devices flushed in this way.
    pub(crate) fn devices_flushed(&self, by: DeviceFlush) -> Vec<usize> {
        let state = self.state.borrow();
        (0..self.devices.get())
            .map(|device| self.walker(device))
            .filter(|walker| state.walkers[*walker].device == Some(by))
            .collect()
    }

    fn walker(&self, device: usize) -> usize {
        self.cpus + device
    }
}
