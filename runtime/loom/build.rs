//! Turns on the configuration that the sources of the runtime look at, for this package alone.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cfg=loom");
}
