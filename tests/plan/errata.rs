//! Errata in every possible configuration: an instruction that an erratum weakens is followed by the workaround, or is
//! not used where the lost fact is needed.

use tlbc::Analysis;
use tlbc::model::{Config, Instr, Model};
use tlbc::trace::{Event, Instruction, Trace};
use tlbc_runtime::request::Space;
use tlbc_tests::archdefs::{self, analysis, kernel_address};
use tlbc_tests::configurations::{possible, words};
use tlbc_tests::requests::{Ask, arm64, names, powerpc, x86};

/// Returns every possible configuration, with its words.
fn machines(model: &Model) -> impl Iterator<Item = (Config, String)> {
    possible(model).map(|config| (config, words(model, config)))
}

/// Returns requests of every shape, at addresses that are aligned in all geometries.
fn asks(arch: &Analysis) -> Vec<Ask> {
    const PAGE: u64 = 1 << 16;
    const USER: u64 = 0x10_0000_0000;
    let kernel = kernel_address(&arch.model.arch.name) + 0x4000_0000;
    let page = [1, 3, 40, 600].map(|pages| {
        [
            Ask::user(USER, pages * PAGE, &["pte"]),
            Ask::kernel(kernel, pages * PAGE, &["pte"]),
        ]
    });
    let page = page.into_iter().flatten();
    let table = Ask::user(USER, whole_table(&arch.model), &["pte"]);
    let flushes = page.flat_map(|ask| [ask.clone(), ask.tables()]);
    let flushes = flushes.chain([table.live()]);
    let events = [Event::Everything, Event::Teardown].map(Ask::event);
    let all = flushes.chain(events);
    all.flat_map(|ask| [ask.clone().here(), ask.others()])
        .collect()
}

/// Returns the bytes that a whole table of pages maps in the largest geometry.
fn whole_table(model: &Model) -> u64 {
    let geometries = 0..model.geometries.len();
    let shift = geometries.filter_map(|geometry| {
        let config = Config {
            geometry,
            ..Config::default()
        };
        let mut levels = (0..model.levels.len()).filter_map(|l| model.level_shift(l, config));
        levels.nth(1)
    });
    1 << shift.max().expect("a level above the lowest")
}

fn name(model: &Model, instr: Instr) -> &str {
    match instr {
        Instr::Barrier(index) => &model.barriers[index].named.name,
        Instr::Invalidate(index) => &model.invalidates[index].named.name,
    }
}

fn has(words: &str, word: &str) -> bool {
    words.split(' ').any(|known| known == word)
}

#[test]
fn workarounds_follow_the_instructions_that_need_them() {
    for arch in archdefs::names().map(analysis) {
        let model = &arch.model;
        let asks = asks(arch);
        let mut seen = 0;
        for (config, words) in machines(model) {
            let errata = model.errata.iter().enumerate();
            for (_, erratum) in errata.filter(|(i, _)| config.suffers(*i)) {
                for ask in &asks {
                    let trace = ask.on(arch, &words);
                    let names = names(&trace);
                    for weakens in &erratum.weakens {
                        let weak = name(model, weakens.target.value);
                        let Some(last) = names.iter().rposition(|name| *name == weak) else {
                            continue;
                        };
                        let same = |space: &Space| *space == ask.space;
                        if !weakens.when.holds(config) || !weakens.space.as_ref().is_none_or(same) {
                            continue;
                        }
                        let of_it = erratum.workarounds.iter().filter(|workaround| {
                            workaround.after && name(model, workaround.target.value) == weak
                        });
                        let mut workarounds = of_it.map(|workaround| {
                            let issued = workaround.issue.iter();
                            issued.map(|it| name(model, it.instr)).collect::<Vec<_>>()
                        });
                        if erratum.workarounds.is_empty() {
                            continue;
                        }
                        // The last weak instruction may be part of the workaround itself.
                        let followed = workarounds.any(|workaround| {
                            let mut all = names.windows(workaround.len()).enumerate();
                            all.any(|(at, window)| {
                                at + workaround.len() > last && window == workaround
                            })
                        });
                        assert!(followed, "{words}: {weak} in {names:?}");
                        seen += 1;
                    }
                }
            }
        }
        let has_workarounds = model.errata.iter().any(|it| !it.workarounds.is_empty());
        assert_eq!(seen > 0, has_workarounds, "{}", model.arch.name);
    }
}

/// C1-Pro: CPUs that run user code in streaming mode are interrupted after every broadcast.
#[test]
fn sets_of_cpus_are_interrupted() {
    let arch = arm64();
    for (config, words) in machines(&arch.model) {
        let sme = arch
            .model
            .errata
            .iter()
            .position(|e| e.named.name == "c1pro_sme");
        let suffers = config.suffers(sme.expect("an erratum"));
        for ask in asks(arch) {
            let ipis = ask.on(arch, &words).ipis;
            let wanted = suffers && ask.others && ask.space == Space::User;
            assert_eq!(!ipis.is_empty(), wanted, "{words}: {ipis:?}");
        }
    }
}

/// Alder Lake: with PCIDs, INVLPG is not used for global leaves, which exist without PTI.
#[test]
fn invlpg_does_not_serve_global_leaves_that_it_may_leave() {
    let arch = x86();
    let mut seen = 0;
    for (_, words) in machines(&arch.model) {
        let weak = ["pge", "pcid", "alder_lake_invlpg"]
            .iter()
            .all(|w| has(&words, w));
        if !weak || has(&words, "pti") {
            continue;
        }
        seen += 1;
        for ask in asks(arch) {
            let trace = ask.on(arch, &words);
            let issued = trace.issued().chain(trace.issued_elsewhere());
            let used = issued.filter(|i| i.name == "invlpg").count();
            assert!(ask.space == Space::User || used == 0, "{words}: {trace:?}");
        }
    }
    assert!(seen > 0);
}

/// A `tlbie` among what this CPU issues.
struct Tlbie<'a> {
    at: usize,
    name: &'a str,
    rs: u128,
}

/// The instructions of the machine that this CPU issues.
fn machine_lines(trace: &Trace) -> impl Iterator<Item = (&Instruction, &str)> {
    trace
        .issued()
        .flat_map(|i| i.asm.iter().map(move |line| (i, line.as_str())))
}

/// Returns every `tlbie` that this CPU issues, and the positions of the `tlbsync`s.
fn tlbies(trace: &Trace) -> (Vec<Tlbie<'_>>, Vec<usize>) {
    let mut issued = Vec::new();
    let mut syncs = Vec::new();
    for (at, (i, line)) in machine_lines(trace).enumerate() {
        if i.name.starts_with("tlbie_") {
            let rs = i.operands.iter().find(|operand| operand.name == "rs");
            issued.push(Tlbie {
                at,
                name: &i.name,
                rs: rs.expect("RS").value.0,
            });
        } else if line == "tlbsync" {
            syncs.push(at);
        }
    }
    (issued, syncs)
}

/// POWER9: between a `tlbie` of leaves and its `tlbsync` there is, after a `ptesync`, a `tlbie` of PID 0 for the ERAT and
/// one of any address under the real PID for the stores, in that order.
#[test]
fn power9_repeats_tlbie_before_it_waits() {
    let arch = powerpc();
    let mut seen = [0; 2];
    for (_, words) in machines(&arch.model) {
        let (erat, stq) = (has(&words, "p9_erat"), has(&words, "p9_stq"));
        for ask in asks(arch) {
            let trace = ask.on(arch, &words);
            let (issued, syncs) = tlbies(&trace);
            let lines: Vec<&str> = machine_lines(&trace).map(|(_, line)| line).collect();
            let after_ptesync = |at: usize| at > 0 && lines[at - 1] == "ptesync";
            let tag = u128::from(ask.tag) << 32;
            let mut from = 0;
            for sync in syncs {
                let all = issued.iter().filter(|it| from < it.at && it.at < sync);
                let before: Vec<_> = all.collect();
                from = sync;
                let Some(last) = before.iter().rposition(|it| it.name != "tlbie_pid1") else {
                    continue;
                };
                let context = || format!("{words}: {:?}", trace.here);
                let workaround = |of: &dyn Fn(&Tlbie<'_>) -> bool| {
                    before
                        .iter()
                        .rposition(|it| after_ptesync(it.at) && it.at > 1 && of(it))
                };
                let cold = workaround(&|it| it.name != "tlbie_pid1" && it.rs == 0);
                let again = workaround(&|it| {
                    ["tlbie_va", "tlbie_unused"].contains(&it.name) && it.rs == tag
                });
                if erat {
                    assert!(
                        cold.is_some_and(|at| at + usize::from(stq) >= last),
                        "{}",
                        context()
                    );
                    seen[0] += 1;
                }
                if stq {
                    assert_eq!(again, Some(last), "{}", context());
                    seen[1] += 1;
                }
            }
            let others = trace.issued_elsewhere();
            let elsewhere = others.filter(|i| i.name.starts_with("tlbie_")).count();
            assert_eq!(elsewhere, 0, "{words}: interrupted CPUs do not broadcast");
        }
    }
    assert!(seen.iter().all(|n| *n > 0), "{seen:?}");
}

/// The nest MMU of POWER9: RIC = 0 with a PID is not enough for a space with a device. A workaround may use RIC = 0
/// with PID 0.
#[test]
fn the_nest_mmu_gets_ric_2() {
    let arch = powerpc();
    let mut seen = 0;
    for (_, words) in machines(&arch.model) {
        if !has(&words, "coprocessors") || !has(&words, "gtse") {
            continue;
        }
        let weak = has(&words, "p9_nest");
        for ask in asks(arch) {
            let trace = ask.on(arch, &words);
            let (issued, _) = tlbies(&trace);
            if ask.space == Space::Kernel {
                continue;
            }
            assert!(
                !issued.is_empty(),
                "{words}: the device is not flushed: {:?}",
                ask.event
            );
            let of_pid = issued
                .iter()
                .filter(|it| it.name == "tlbie_pid0" && it.rs != 0);
            let count = of_pid.count();
            assert!(!weak || count == 0, "{words}: {:?}", trace.here);
            seen += count;
        }
    }
    assert!(seen > 0, "without the erratum RIC = 0 is enough");
}
