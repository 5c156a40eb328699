//! The instructions of every kind of request, on machines of each architecture.
//!
//! There is a snapshot for each theme, with the request in words, the machines with the same result, and the result.
//! Review a snapshot like a patch of a kernel: are stores published before and invalidations complete after, is every view
//! flushed, which CPUs are interrupted, what is deferred and until when? Other tests check that the JSON of a trace conforms
//! to its schema and contains what the text contains, and that traces of changes match the runtime.

mod json;
mod rendered;
mod runtime;
mod schema;
mod typical;
