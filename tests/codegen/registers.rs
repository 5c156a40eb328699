//! Features that registers report and settings that they need, in generated modules and in documents.

use tlbc_tests::archdefs;
use tlbc_tests::requests;
use tlbc_tests::snapshot;

use tlbc::codes::TOY;
use tlbc::doc::page;
use tlbc::matrix::{Matrix, html, markdown, marked, text};
use tlbc::source::Files;
use tlbc_backends::{arm64, s390, x86_64};
use tlbc_runtime::Flags;

#[test]
fn arm64_id_registers() {
    use arm64::{Config, Registers};
    let none = Registers::default();
    let of = |mmfr2: u64, isar0: u64| {
        Config::from_registers(&Registers {
            id_aa64mmfr2_el1: mmfr2,
            id_aa64isar0_el1: isar0,
            ..none
        })
    };
    // ASIDBits and ETS, of which 1 is an extension that was withdrawn.
    let asid = |bits: u64| {
        Config::from_registers(&Registers {
            id_aa64mmfr0_el1: bits << 4,
            ..none
        })
    };
    assert_eq!([asid(0), asid(2)], [Config::NONE, Config::ASID16]);
    let ets = |value: u64| {
        Config::from_registers(&Registers {
            id_aa64mmfr1_el1: value << 36,
            ..none
        })
    };
    assert_eq!(
        [ets(1), ets(2), ets(3)],
        [Config::NONE, Config::ETS2, Config::ETS2]
    );
    // Cortex-A53: neither. ID_AA64ISAR0_EL1.TLB = 1 is FEAT_TLBIOS alone.
    assert_eq!(of(0, 0x0000_1112_0000), Config::NONE);
    assert_eq!(of(1 << 48, 1 << 56), Config::TTL);
    assert_eq!(of(0, 2 << 56), Config::RANGES);
    assert_eq!(of(1 << 48, 2 << 56), Config::TTL.with(Config::RANGES));
    // Later values of a field include what earlier ones mean.
    assert_eq!(of(15 << 48, 15 << 56), Config::TTL.with(Config::RANGES));
    // The fields beside them tell nothing.
    let others = |high: u32, low: u32| !(u64::MAX >> (63 - high + low) << low);
    assert_eq!(of(others(51, 48), others(59, 56)), Config::NONE);
}

#[test]
fn x86_cpuid() {
    use x86_64::{Config, Registers};
    let none = Registers::default();
    let of = |registers: Registers| Config::from_registers(&registers);
    assert_eq!(of(none), Config::NONE);
    assert_eq!(
        of(Registers {
            cpuid_01h_edx: 1 << 13,
            ..none
        }),
        Config::PGE
    );
    assert_eq!(
        of(Registers {
            cpuid_01h_ecx: 1 << 17,
            ..none
        }),
        Config::PCID
    );
    assert_eq!(
        of(Registers {
            cpuid_07h_0_ebx: 1 << 10,
            ..none
        }),
        Config::INVPCID
    );
    assert_eq!(
        of(Registers {
            cpuid_80000008h_ebx: 1 << 3,
            ..none
        }),
        Config::INVLPGB
    );
    assert_eq!(
        of(Registers {
            cpuid_80000001h_ecx: 1 << 17,
            ..none
        }),
        Config::TCE
    );
    assert_eq!(
        of(Registers {
            cr4: 1 << 12,
            ..none
        }),
        Config::LA57
    );
}

#[test]
fn s390_facilities() {
    use s390::{Config, Registers};
    // STFLE stores facility 0 in the leftmost bit of the first doubleword.
    let facility = |number: usize| {
        let mut words = [0u64; 4];
        words[number / 64] |= 1 << (63 - number % 64);
        Config::from_registers(&Registers {
            stfle_0: words[0],
            stfle_1: words[1],
            stfle_3: words[3],
        })
    };
    assert_eq!(facility(8), Config::EDAT1);
    assert_eq!(facility(13), Config::IPTE_RANGE);
    assert_eq!(facility(51), Config::LOCAL_CLEAR);
    assert_eq!(facility(78), Config::EDAT2);
    assert_eq!(facility(194), Config::RDP);
    let known = [8, 13, 51, 78, 194];
    for other in (0..256).filter(|number| !known.contains(number)) {
        assert_eq!(facility(other), Config::NONE, "facility {other}");
    }
}

/// AMD64 APM 3, CPUID `8000_0008H`: `EDX[15:0]` counts the pages of an INVLPGB beyond the first.
#[test]
fn x86_64_pages_of_an_invlpgb() {
    for (edx, pages) in [(0, 1), (7, 8), (0xabcd_ffff, 65536)] {
        let registers = x86_64::Registers {
            cpuid_80000008h_edx: edx,
            ..Default::default()
        };
        assert_eq!(registers.invlpgb_pages(), pages);
        assert_eq!(
            x86_64::Config::from_registers(&registers),
            x86_64::Config::NONE
        );
    }
}

#[test]
fn several_cpus_and_choices_of_the_kernel() {
    use x86_64::Config;
    let all = [Config::PGE, Config::PCID, Config::INVPCID, Config::INVLPGB];
    let one = all.into_iter().fold(Config::NONE, Config::with);
    let other = Config::PGE.with(Config::ALDER_LAKE_INVLPG);
    // Features of both, errata of either.
    assert_eq!(one.least(other), other);
    assert_eq!(other.least(one), other);
    // PCIDs need global pages. INVLPGB needs both, and excludes PTI.
    assert_eq!(one.settled(), one);
    let isolated = one.with(Config::PTI);
    assert!(!isolated.is_possible());
    assert_eq!(isolated.settled(), isolated.without(Config::INVLPGB));
    assert_eq!(
        one.without(Config::PCID).settled(),
        Config::PGE.with(Config::INVPCID)
    );
    assert_eq!(one.without(Config::PGE).settled(), Config::INVPCID);
    // Two CPUs with different page sizes make no machine.
    let (small, large) = (arm64::Config::G16K, arm64::Config::G64K);
    assert!(!small.least(large).is_possible());
    assert!(small.least(small).is_possible());
}

/// `settled` returns a possible configuration for every input.
#[test]
fn settled_configurations_are_possible() {
    macro_rules! all {
        ($($arch:ident { $($limit:ident)* })*) => { $({
            use tlbc_backends::$arch::Config;
            let features = |(name, _): &&(&str, Config)| {
                let features = &archdefs::analysis(stringify!($arch)).model.features;
                features.iter().any(|feature| feature.named.name == *name)
            };
            let flags: Vec<Config> = (Config::NAMES.iter().filter(features))
                .map(|(_, flag)| *flag)
                .collect();
            for bits in 0..1u32 << flags.len() {
                let on = flags.iter().enumerate().filter(|(i, _)| bits & 1 << i != 0);
                let config = on.fold(Config::NONE, |c, (_, flag)| c.with(*flag));
                let settled = config.settled();
                assert!(settled.is_possible(), "{config:?}");
                assert_eq!(config.is_possible(), settled == config, "{config:?}");
            }
        })* };
    }
    tlbc_tests::for_each_architecture!([all]);
}

/// Returns the example machine with a feature and a setting.
fn toy() -> String {
    requests::edited(
        TOY,
        "    change { plain store; }",
        "    feature fast \"flushes are fast\" from ID1.0[3:0] >= 2;
    feature chosen \"the kernel wants it\" needs fast;
    feature slow \"never together with chosen\" from ID1.0[7] = 1 needs not chosen;
    needs CTRL.FAST[9:8] = 0, 1 when fast \"why [it] has to\";
    needs CTRL.CACHED >= 2 \"walks read the cache\";
    needs \"leaf entries of the kernel are marked\" unless slow;
    change { plain store; }",
    )
    .replace(
        "ceiling 64 operations;",
        "ceiling 64 operations, 32 operations when fast, 16 operations when chosen, 8 operations when slow;",
    )
}

#[test]
fn generated_module() {
    let compiled = tlbc::compile([("toy.arch", toy())]);
    let findings: Vec<&str> = compiled
        .diagnostics
        .iter()
        .map(|d| d.message.as_str())
        .collect();
    assert_eq!(findings, [""; 0]);
    let text = &compiled.outputs[0].text;
    let part = |from: &str, to: &str| {
        let start = text.find(from).unwrap_or_else(|| panic!("{from}"));
        let end = start + text[start..].find(to).unwrap_or_else(|| panic!("{to}"));
        text[start..end].to_owned()
    };
    let config = part(
        "/// The values of the registers",
        "    /// Every flag by its name in the definition",
    );
    let functions = part(
        "    /// Returns the configuration with a flag cleared.",
        "    /// Returns whether a flag is set.",
    );
    let hardware = part(
        "    /// Returns a sink that executes instructions.",
        "        Self(())",
    );
    snapshot!("registers", [config, functions, hardware].join("...\n"));
}

#[test]
fn what_people_read() {
    let mut files = Files::default();
    let file = files.add("toy.arch", toy());
    let (analysis, _) = tlbc::analyse(&files, file);
    let analysis = analysis.expect("a definition");
    let page = page(&analysis, &files);
    let matrix = Matrix::new(std::slice::from_ref(&analysis), false);
    let terminal = text(&matrix, 400);
    for statement in [
        "`ID1.0[3:0] >= 2`",
        "`CTRL.FAST[9:8] = 0`, `= 1` when `fast`",
        "`CTRL.CACHED >= 2`",
        "leaf entries of the kernel are marked when not `slow`",
    ] {
        let marked = marked(statement);
        assert!(page.contains(&marked), "{statement} in\n{page}");
        assert!(markdown(&matrix, true).contains(&marked), "{statement}");
        assert!(terminal.contains(statement), "{statement} in\n{terminal}");
    }
    assert!(page.contains(&marked("why [it] has to")), "{page}");
    assert!(html(&matrix).contains("CTRL.FAST[9:8] = 0"));
}
