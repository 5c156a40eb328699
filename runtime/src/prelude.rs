//! The names that most kernels need: `use tlbc_runtime::prelude::*`.

pub use crate::{
    AddressSpace, Backend, ByValue, CpuId, CpuMask, CpuSet, CpuTlb, Current, Entry, Flags, Flushed,
    Gather, Issue, Level, Loaded, Misuse, Mmu, NewSpace, NoBatch, PageBatch, Platform, Pte,
    Refused, Root, Section, Slot, SpaceFlags, SpaceId, TableBatch, Tag, Unlinked, Unusable,
};
