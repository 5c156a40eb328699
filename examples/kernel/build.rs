//! Names the linker script of the machine.

fn main() {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").expect("cargo says what it builds for");
    println!("cargo:rerun-if-changed=boot");
    println!("cargo:rustc-link-arg-bins=-Tboot/{arch}/link.ld");
}
