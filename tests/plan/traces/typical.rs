//! The requests of `archdefs/NAME/traces.txt`, compared with the snapshots in `archdefs/NAME/traces/`.

use std::collections::BTreeSet;
use std::fs;

use tlbc_tests::archdefs::{analysis, data, names};
use tlbc_tests::snapshot;
use tlbc_tests::traces::themes;
use tlbc_tests::workspace::root;

/// Compares the results of each theme with its snapshot.
fn compare(name: &str) {
    let text = data(name, "traces.txt");
    for theme in themes(&text) {
        snapshot!(
            theme.name,
            theme.report(analysis(name)),
            format!("../../../archdefs/{name}/traces")
        );
    }
}

macro_rules! tests {
    ($($arch:ident { $($limit:ident)* })*) => { $(
        #[test]
        fn $arch() {
            compare(stringify!($arch));
        }
    )* };
}

tlbc_tests::for_each_architecture!([tests]);

#[test]
fn every_snapshot_belongs_to_a_theme() {
    for name in names() {
        let text = data(name, "traces.txt");
        let themes = themes(&text).into_iter().map(|theme| theme.name.to_owned());
        let themes: Vec<String> = themes.collect();
        let directory = root().join("archdefs").join(name).join("traces");
        let entries = fs::read_dir(directory).expect("the snapshots");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let snapshots = paths.filter(|path| path.extension().is_some_and(|it| it == "snap"));
        let stem =
            |path: std::path::PathBuf| path.file_stem().map(|it| it.to_string_lossy().into());
        let snapshots: BTreeSet<String> = snapshots.filter_map(stem).collect();
        assert_eq!(snapshots, themes.iter().cloned().collect(), "{name}");
        assert_eq!(
            snapshots.len(),
            themes.len(),
            "{name}: two themes of one name"
        );
    }
}
