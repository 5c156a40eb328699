//! What is issued for every shape of request on machines of each architecture.
//!
//! One snapshot a theme. In each: the request in words, the machines with the same answer, and the
//! answer. To be read as a reviewer of a kernel would: is it published before and complete after,
//! is every view there, which CPUs are interrupted, what is deferred and until when? Besides, the JSON of a trace says what
//! its text says and is as the schema describes it, and a change is traced as the runtime makes it.

#[path = "../common/mod.rs"]
mod common;

mod arm64;
mod json;
mod powerpc64;
mod rendered;
mod runtime;
mod s390;
mod schema;
mod themes;
mod x86_64;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const PAGE: u64 = 4 * KIB;
