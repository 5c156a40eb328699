//! The `build.rs` of a crate that has its own definitions.
//!
//! In a real `build.rs` the call of `out_dir` is omitted: cargo sets the directory, and the crate includes the
//! modules as [`tlbc::Builder`] shows. This example is not a build script and writes to a temporary directory:
//!
//! ```text
//! cargo run -p tlbc --example build_script
//! ```

use tlbc::{BuildError, Builder};

fn main() -> Result<(), BuildError> {
    let directory = std::env::temp_dir().join("tlbc-build-script");
    Builder::new()
        .definitions_in(concat!(env!("CARGO_MANIFEST_DIR"), "/../archdefs"))
        .out_dir(&directory)
        .generate()?;
    println!("the modules are in {}", directory.display());
    Ok(())
}
