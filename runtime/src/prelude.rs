//! The names that most kernels need: `use tlbc_runtime::prelude::*`.

pub use crate::{
    AddressSpace, Backend, Conditions, CpuId, CpuSet, Cpus, Current, Entry, Flushed, Gather, Issue,
    Level, Loaded, Local, Misuse, Mmu, NewSpace, NoBatch, PageBatch, Platform, Pte, Refused, Root,
    Section, Slot, SpaceId, TableBatch, Tag, Unlinked, Unusable, Value,
};
