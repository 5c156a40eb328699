//! What the `build.rs` of a crate with definitions of its own does.
//!
//! In such a `build.rs` cargo says where the modules go, and `out_dir` is left out; the crate then
//! includes them as [`tlbc::Builder`] shows. Here, outside of a build script, they go to a directory
//! of their own:
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
