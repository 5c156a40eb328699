//! The right Rust: generated code compared with plans, assembled, disassembled, and used.

mod assemble;
mod build_script;
mod checked_in;
mod differential;
mod disassembly;
mod mutations;
mod narrow;
mod new_architecture;
mod readable;
mod registers;
