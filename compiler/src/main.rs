//! The command line. Its implementation is in the library, in `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tlbc::cli::main()
}
