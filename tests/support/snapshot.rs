//! Texts that are compared with a file, which is reviewed when it changes.

/// Compares a text with the snapshot of this name, in the directory `snapshots` beside the file that calls this, or in another
/// one, relative to that file.
#[macro_export]
macro_rules! snapshot {
    ($name:expr, $text:expr) => {
        $crate::snapshot!($name, $text, "snapshots")
    };
    ($name:expr, $text:expr, $directory:expr) => {
        $crate::insta::with_settings!({
            omit_expression => true,
            prepend_module_to_snapshot => false,
            snapshot_path => $directory,
        }, {
            $crate::insta::assert_snapshot!($name, $text);
        })
    };
}
