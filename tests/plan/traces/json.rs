//! Random requests on every definition: the JSON conforms to its schema, and the text contains the same.
//!
//! A request that no machine has is refused with a reason.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::Value;
use tlbc::Analysis;
use tlbc::model::Config;
use tlbc::trace::{
    AddressRange, Change, EntriesInMemory, Event, Query, Tables, To, Trace, UnmappedEntries,
    VERSION, explained, show, trace,
};
use tlbc_runtime::deferred::Pending;
use tlbc_runtime::level::Level;
use tlbc_runtime::request::{Extent, Space};

use crate::traces::{rendered, schema};
use tlbc_tests::archdefs;
use tlbc_tests::configurations::possible;
use tlbc_tests::requests::tag_on;

static SCHEMA: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(schema::TRACE).expect("JSON"));

const CHANGES: [To; 11] = [
    To::Unmap,
    To::Replace,
    To::FewerRights,
    To::MoreRights,
    To::Attributes,
    To::SoftwareBits,
    To::Split,
    To::Collapse,
    To::Map,
    To::Accessed,
    To::Dirty,
];

/// Checks that the text and the JSON of a trace contain the same: the text is made from the JSON alone.
fn agree(trace: &Trace) {
    let json: Value = serde_json::from_str(&show::json(trace)).expect("JSON");
    if let Err(why) = schema::check(&SCHEMA, &json) {
        panic!("{why}: {json}");
    }
    assert_eq!(json["version"], VERSION);
    assert_eq!(rendered::text(&json), show::text(trace), "{json}");
    // Where this CPU is alone the runtime publishes before it looks for others, and its flush publishes to this CPU again.
    if json["request"]["cpus"] != "self" {
        published_once(&json["here"]);
    }
    for ipi in json["ipis"].as_array().expect("IPIs") {
        published_once(&ipi["steps"]);
    }
}

/// Checks that an explanation is of what is issued: the steps are those of the trace, and of a choice for one address or
/// for everything, each instruction is among them.
fn explains(trace: &Trace, explained: &Trace) {
    let json: Value = serde_json::from_str(&show::json(explained)).expect("JSON");
    if let Err(why) = schema::check(&SCHEMA, &json) {
        panic!("{why}: {json}");
    }
    let mut steps = json.clone();
    let why = steps.as_object_mut().expect("an object").remove("why");
    let why = why.expect("an explanation");
    let plain: Value = serde_json::from_str(&show::json(trace)).expect("JSON");
    assert_eq!(steps, plain);
    let text = show::text(explained);
    assert!(text.starts_with(&show::text(trace)), "{text}");
    let invalidated = |step: &&Value| step["kind"] == "invalidate" || step["kind"] == "load";
    let here = json["here"].as_array().expect("steps");
    let operations = here.iter().filter(invalidated).count();
    assert_eq!(why["cost"]["operations"], operations);
    let ipis = json["ipis"].as_array().expect("IPIs");
    let interrupted = why["cost"]["interrupted"].as_array().expect("a list");
    assert_eq!(ipis.len(), interrupted.len());
    let elsewhere = ipis
        .iter()
        .flat_map(|ipi| ipi["steps"].as_array().expect("steps"));
    let issued: Vec<&Value> = here
        .iter()
        .chain(elsewhere)
        .map(|step| &step["name"])
        .collect();
    for choice in why["choices"].as_array().expect("choices") {
        let selected = choice["selected"]["instructions"]
            .as_array()
            .expect("names");
        // Loops may issue instructions for runs instead.
        let entries = choice["entries"].as_str().expect("a text");
        if entries.ends_with("of each address") {
            continue;
        }
        for name in selected.iter().map(|it| it.as_str().expect("a name")) {
            let name = name.split(' ').next().expect("a word");
            let deferred = name.starts_with('(');
            assert!(
                deferred || issued.iter().any(|it| *it == name),
                "{name}: {json}"
            );
        }
        for rejected in choice["rejected"].as_array().expect("a list") {
            assert_ne!(rejected["instructions"], choice["selected"]["instructions"]);
        }
    }
}

/// Checks that between two publish barriers there is a store.
fn published_once(steps: &Value) {
    let mut published = false;
    for step in steps.as_array().expect("steps") {
        if step["kind"] == "store" {
            published = false;
        } else if step["role"] == "publish" {
            assert!(!published, "{steps}");
            published = true;
        }
    }
}

/// A random request that does not depend on the machine yet.
#[derive(Debug, Clone)]
struct Case {
    definition: usize,
    config: u64,
    limits: u64,
    kernel: bool,
    others: bool,
    tag: u16,
    what: usize,
    to: usize,
    levels: Vec<(usize, u64, u64)>,
    tables: usize,
    flags: (bool, bool),
}

fn case() -> impl Strategy<Value = Case> {
    let entries = prop_oneof![4 => 1..4u64, 2 => 1..40u64, 1 => 1..700u64];
    let level = (0..5usize, 0..1u64 << 20, entries);
    (
        (0..CONFIGS.len(), any::<u64>(), any::<u64>()),
        (any::<bool>(), any::<bool>(), any::<u16>()),
        (0..12usize, 0..CHANGES.len()),
        proptest::collection::vec(level, 1..3),
        (0..3usize, any::<(bool, bool)>()),
    )
        .prop_map(
            |((definition, config, limits), (kernel, others, tag), (what, to), levels, more)| {
                let (tables, flags) = more;
                Case {
                    definition,
                    config,
                    limits,
                    kernel,
                    others,
                    tag,
                    what,
                    to,
                    levels,
                    tables,
                    flags,
                }
            },
        )
}

/// The shipped definitions, with their possible configurations.
static CONFIGS: LazyLock<Vec<(&Analysis, Vec<Config>)>> = LazyLock::new(|| {
    let all = archdefs::names().map(archdefs::analysis);
    all.map(|it| (it, possible(&it.model).collect())).collect()
});

impl Case {
    fn query(&self) -> (&'static Analysis, Query) {
        let (analysis, configs) = &CONFIGS[self.definition];
        let model = &analysis.model;
        let config = configs[(self.config % configs.len() as u64) as usize];
        let space = if self.kernel {
            Space::Kernel
        } else {
            Space::User
        };
        let base = { model.space(space).addresses.get(config) }.map_or(0, |it| it.base);
        let range = |&(level, place, entries): &(usize, u64, u64)| {
            let level = level % model.levels.len();
            let shift = model.level_shift(level, config).unwrap_or(12).min(40);
            let start = base + ((place << 12) >> shift << shift);
            AddressRange {
                extent: Extent::new(start, entries << shift),
                levels: vec![level],
            }
        };
        let ranges: Vec<AddressRange> = self.levels.iter().map(range).collect();
        let first = ranges[0].clone();
        let event = match self.what {
            0..=2 => Event::Unmapped(UnmappedEntries {
                ranges,
                tables: [Tables::Kept, Tables::Unlinked, Tables::UnlinkedLive][self.tables],
                stored: self.flags.0,
            }),
            3..=5 => Event::Change(Change {
                to: CHANGES[self.to],
                level: Level(first.levels[0] as u8),
                extent: first.extent,
                memory: EntriesInMemory::default(),
                may_defer: self.flags.1 && self.flags.0,
            }),
            6 => Event::Mapped(ranges),
            7 => Event::Fault(first),
            8 => [Event::Everything, Event::Teardown][usize::from(self.flags.0)].clone(),
            9 => Event::Switch([Pending::None, Pending::Tag, Pending::All][self.tables]),
            10 => Event::ReturnToUser(self.flags.0),
            _ => [Event::EnterFromUser, Event::CpuOnline, Event::Publish][self.tables].clone(),
        };
        let limits = model.limits.iter();
        let limits = limits.map(|it| it.least + self.limits % (it.most - it.least + 1));
        let query = Query {
            config,
            limits: limits.collect(),
            space,
            event,
            tag: tag_on(model, config, self.tag.into()),
            others: self.others,
        };
        (analysis, query)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_and_json_say_the_same(case in case()) {
        let (analysis, query) = case.query();
        match trace(&analysis.model, &analysis.plans, &query) {
            Ok(trace) => {
                agree(&trace);
                let explained = explained(&analysis.model, &analysis.plans, &query);
                explains(&trace, &explained.expect("the same"));
            }
            Err(why) => prop_assert!(!why.is_empty()),
        }
    }
}

/// Most of the random requests are accepted, and every kind of step, event and deferred flush occurs among them.
#[test]
fn every_part_of_the_schema_is_met() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeSet::new();
    let mut good = 0;
    for _ in 0..1500 {
        let case = case().new_tree(&mut runner).expect("a case").current();
        let (analysis, query) = case.query();
        let Ok(trace) = trace(&analysis.model, &analysis.plans, &query) else {
            continue;
        };
        good += 1;
        let json: Value = serde_json::from_str(&show::json(&trace)).expect("JSON");
        let here = json["here"].as_array().expect("steps").iter();
        seen.extend(here.map(|step| format!("{} {}", step["kind"], step["role"])));
        seen.insert(format!("event {}", json["request"]["event"]["kind"]));
        let deferred = json["deferred"].as_array().expect("a list").iter();
        for it in deferred {
            seen.insert(format!("until {}", it["until"]));
            seen.insert(format!("by {}", it["cpus"]));
            let of = &it["entries"]["of"];
            let of = of.as_str().unwrap_or("range");
            seen.insert(format!("of {of}"));
        }
    }
    assert!(good > 750, "{good}");
    let wanted = [
        "\"barrier\" \"complete\"",
        "\"barrier\" \"order\"",
        "\"barrier\" \"publish\"",
        "\"barrier\" \"resync\"",
        "\"invalidate\" null",
        "\"ipi\" null",
        "\"load\" null",
        "\"store\" null",
        "by \"another_cpu\"",
        "by \"faulting_cpu\"",
        "by \"inactive_cpus\"",
        "by \"interrupted_cpus\"",
        "by \"lazy_cpus\"",
        "by \"this_cpu\"",
        "event \"change\"",
        "event \"cpu_online\"",
        "event \"enter_from_user\"",
        "event \"everything\"",
        "event \"fault\"",
        "event \"mapped\"",
        "event \"publish\"",
        "event \"return_to_user\"",
        "event \"switch\"",
        "event \"teardown\"",
        "event \"unmapped\"",
        "of other_tags",
        "of range",
        "of request",
        "of space",
        "of user_view",
        "until \"attach\"",
        "until \"fault\"",
        "until \"load\"",
        "until \"return_to_user\"",
        "until \"reuse\"",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), wanted);
}
