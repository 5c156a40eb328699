//! Output to the serial line.

use core::fmt::{self, Write};

use crate::boot;
use crate::lock::SpinLock;

static LINE: SpinLock<()> = SpinLock::new(());

struct Serial;

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(boot::put);
        Ok(())
    }
}

/// Writes a line, whole: CPUs take turns.
pub fn line(text: fmt::Arguments<'_>) {
    let _turn = LINE.lock();
    // The serial line takes everything.
    let _ = writeln!(Serial, "{text}");
}

/// Writes a line without waiting for other CPUs, which may have stopped.
pub fn last_line(text: fmt::Arguments<'_>) {
    let _ = writeln!(Serial, "{text}");
}

/// Writes a line, as `println!` does.
macro_rules! say {
    ($($text:tt)*) => {
        $crate::console::line(format_args!($($text)*))
    };
}
pub(crate) use say;
