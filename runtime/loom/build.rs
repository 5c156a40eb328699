//! Sets `cfg(loom)`, which selects the words of the model checker, for this package alone.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cfg=loom");
}
