//! What devices are to the instructions of CPUs.
//!
//! In: the number of an agent. Out: its name, and which instructions reach it. Holds: the numbers of devices come after those of the CPUs.

use tlbc_runtime::agents::Agents;
use tlbc_runtime::request::SpaceId;

/// What a device is to the instructions of CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// The definition says which instructions reach it.
    Device,
    /// It uses the tag of a space, and instructions that reach other CPUs reach it.
    Pinned,
    /// Its driver invalidates its entries of a space.
    Driver(SpaceId),
}

/// Returns whether an instruction of a CPU that acts on some agents acts on a CPU or a device.
pub(super) fn reaches(
    agents: Agents,
    from: usize,
    (number, device): (usize, Option<DeviceKind>),
) -> bool {
    let class = match device {
        Some(DeviceKind::Device) => Agents::DEVICE,
        Some(DeviceKind::Driver(_)) => return false,
        None if from == number => Agents::SELF,
        None | Some(DeviceKind::Pinned) => Agents::ACTIVE,
    };
    agents.covers(class)
}

/// Returns the name of a CPU, or of a device, whose numbers come after those of the CPUs.
pub fn agent_name(cpus: usize, number: usize) -> String {
    match number.checked_sub(cpus) {
        None => format!("CPU {number}"),
        Some(device) => format!("device {device}"),
    }
}
