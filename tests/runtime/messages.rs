//! What errors say.

use std::error::Error;

use tlbc_runtime::{
    CpuId, Misuse, NoTag, NotPinned, Refused, StillLoaded, TooManyDevices, Unusable,
};

#[test]
fn an_error_says_what_is_wrong() {
    let cpu = CpuId(9);
    let each: [(&dyn Error, &str); 9] = [
        (&Misuse::Empty, "the range has no address"),
        (&Misuse::Wraps, "the range goes beyond the last address"),
        (&NoTag, "no tag is left"),
        (&NotPinned, "the tag of the space is not pinned"),
        (&StillLoaded, "some CPU has the space loaded"),
        (
            &TooManyDevices,
            "the space has as many devices as it can count",
        ),
        (
            &Unusable::NoSuchCpu { cpu, cpus: 4 },
            "CPU 9 of a platform with 4 CPUs",
        ),
        (
            &Unusable::TooManyCpus {
                cpus: 65,
                capacity: 64,
            },
            "the platform has 65 CPUs, and its sets hold 64",
        ),
        (
            &Unusable::TooFewTags,
            "there are not more than two tags for each CPU",
        ),
    ];
    for (error, says) in each {
        assert_eq!(error.to_string(), says);
    }
    let refused = Refused {
        why: Misuse::NotALeaf,
        entry: (),
    };
    assert_eq!(refused.to_string(), "the entry maps no page");
}
