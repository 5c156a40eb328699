//! The command, with the libraries of these tests: the one of the package `tlbc` may need other features of its
//! dependencies, so that they would be compiled again.

use std::process::ExitCode;

fn main() -> ExitCode {
    tlbc::cli::main()
}
