//! The files beside each definition, which tests compare with: all are there, and nothing in them is passed over.

use std::collections::BTreeSet;

use tlbc_tests::archdefs::{DATA, data, lines, names, try_data};
use tlbc_tests::encodings::Encodings;
use tlbc_tests::workspace::root;

#[test]
fn every_definition_has_its_files() {
    let files = names().flat_map(|arch| DATA.map(|(file, _)| (arch, file)));
    // A backend that reads no registers has none of these.
    let files = files.filter(|(arch, file)| {
        *file != "registers.txt" || tlbc_tests::read_registers(arch, |_| 0).is_some()
    });
    let files = files.map(|(arch, file)| try_data(arch, file));
    let missing: Vec<String> = files.filter_map(Result::err).collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_directory_belongs_to_a_definition() {
    let entries = std::fs::read_dir(root().join("archdefs")).expect("a directory");
    let directories = entries
        .map(|entry| entry.expect("an entry"))
        .filter(|it| it.path().is_dir());
    let directories: BTreeSet<String> = directories
        .map(|it| it.file_name().into_string().expect("a name in UTF-8"))
        .collect();
    let names: BTreeSet<String> = names().map(str::to_owned).collect();
    assert_eq!(directories, names);
}

/// The list of the build script has every machine of the files.
#[test]
fn every_machine_is_run() {
    macro_rules! run {
        ($($name:ident: $arch:ident $line:literal;)*) => { [$((stringify!($name), $line)),*] };
    }
    let run: BTreeSet<(&str, &str)> = tlbc_tests::for_each_machine!([run]).into();
    let mut count = 0;
    for arch in names() {
        let text = data(arch, "machines.txt");
        for line in lines(&text) {
            let (name, rest) = line.split_once('|').expect("NAME | FEATURES | KIND");
            let name = format!("{arch}_{}", name.trim());
            assert!(
                run.contains(&(name.as_str(), rest.trim())),
                "{arch}: {line}"
            );
            count += 1;
        }
    }
    assert_eq!(run.len(), count);
}

#[test]
fn a_missing_file_is_described() {
    let missing = try_data("vax", "encodings.txt").expect_err("there is no such definition");
    assert!(
        missing.starts_with("archdefs/vax/encodings.txt: "),
        "{missing}"
    );
    assert!(
        missing.contains("the machine code of each instruction"),
        "{missing}"
    );
}

#[test]
fn encodings_can_be_read() {
    for arch in names() {
        assert!(!Encodings::of(arch).code.is_empty(), "{arch}");
    }
}
