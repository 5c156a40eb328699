//! Barriers that publish changes on some machines alone: a flush of one CPU asks which of them to issue.

use tlbc::prove::prove;
use tlbc::trace::Event;

use super::{issues, with};
use tlbc_tests::requests::{Ask, lines};

const CLASSES: &str = include_str!("definitions/classes.arch");

/// Another barrier is enough for this CPU where the machine has it.
const NEAR: [(&str, &str); 2] = [
    (
        "    caches {",
        "    feature light \"a lighter barrier\";\n\n    caches {",
    ),
    (
        "    barrier complete",
        "    barrier near     \"order.here\" requires light { publishes on self; }\n    barrier complete",
    ),
];

#[test]
fn the_publisher_of_one_cpu_depends_on_a_feature() {
    let arch = with(CLASSES, &NEAR);
    let page = Ask::user(0x1000, 0x1000, &["pte"]);
    let flushed = ["page 0x1000, 0x42", "wait"];
    let after = |barrier: &'static str| [&[barrier], &flushed[..]].concat();
    issues(&arch, "", &page, &after("order"));
    issues(&arch, "light", &page, &after("order.here"));
    // New entries are published to every CPU.
    let published = Ask::event(Event::Publish);
    issues(&arch, "light", &published, &["order"]);
    let interrupted = page.others().on(&arch, "light");
    assert_eq!(lines(interrupted.issued_elsewhere()), after("order.here"));
    let proof = prove(&arch.model, &arch.plans);
    assert_eq!(proof.failures.len(), 0);
}
