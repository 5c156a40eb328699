//! The kernel's space: its tag, its views and its addresses.
//!
//! In: the two spaces, their tags and views. Out: E0303, E0307, E0512 to E0515. Holds: entries of the kernel differ
//! from those of user spaces in their addresses or their tag, its tag is known, and one view runs with the kernel.

use super::configs::Configs;
use super::tags_in;
use crate::codes::Code;
use crate::diagnostic::Diagnostic;
use crate::model::{At, CachedKind, Cond, Machine, Model, SpaceAddresses, Tag, Under};

/// Checks E0512: where entries of the kernel are under a tag, its value is stated.
pub fn tags_of_kernel(model: &Model, found: &mut Vec<Diagnostic>) {
    for cases in [&model.kernel.leaf, &model.kernel.walk] {
        for (under, _) in &cases.cases {
            let Under::Tags(tags) = &under.value else {
                continue;
            };
            // Where the tag is the root, the kernel's root is its tag.
            let handed_out = tags.iter().map(|&tag| &model.tags[tag]);
            let Some(tag) = handed_out.into_iter().find(|tag| tag.is_root.is_none()) else {
                continue;
            };
            found.push(
                Diagnostic::new(
                    Code::E0512,
                    under.span,
                    format!(
                        "entries of the kernel are under a value of `{}` that is not stated",
                        tag.named.name
                    ),
                )
                .label("no value")
                .because(tag.named.span, "values are given to user spaces")
                .note("a flush compares one value, and entries that were made while user spaces were loaded have the values of those")
                .help("write `under every tag` if they have the tag that was loaded, `global` if they have none, or the value: `under pid 0`"),
            );
        }
    }
}

/// Checks E0303, E0512: entries of the kernel are under a value that the tag can have, the same for both kinds, and
/// that no user space has.
pub fn values_of_kernel(model: &Model, found: &mut Vec<Diagnostic>) {
    let (leaf, walk) = (&model.kernel.leaf, &model.kernel.walk);
    for (under, _) in leaf.cases.iter().chain(&walk.cases) {
        let Under::Fixed(tag, value) = under.value else {
            continue;
        };
        let tag = &model.tags[tag];
        if value
            .checked_shr(tag.widths.0 as u32)
            .is_some_and(|above| above != 0)
        {
            found.push(
                Diagnostic::new(
                    Code::E0303,
                    under.span,
                    format!("the tag `{}` cannot be {value}", tag.named.name),
                )
                .label("too large")
                .because(tag.bits.span, format!("{} bits", tag.widths.0))
                .help("correct the value, or the width"),
            );
        }
    }
    let tags = model.tags.iter().map(|tag| &tag.when);
    let views = model.user.views.iter().map(|view| &view.when);
    let caches = model.caches.conds();
    let whens = leaf
        .conds()
        .chain(walk.conds())
        .chain(tags)
        .chain(views)
        .chain(caches);
    let configs = Configs::of(model, whens);
    for config in configs.iter() {
        let (Some(leaf), Some(walk)) = (leaf.get(config), walk.get(config)) else {
            continue;
        };
        let when = configs.when(config);
        let (diagnostic, fact) = match (&leaf.value, &walk.value) {
            (Under::Fixed(_, one), Under::Fixed(_, other))
                if one != other && model.caches.hold(CachedKind::Walk, config) =>
            (
                Diagnostic::new(
                    Code::E0512,
                    walk.span,
                    format!("walk entries of the kernel are under {other}, and leaf entries under {one}{when}"),
                )
                .note("a flush of the kernel compares one value, so it would leave entries under the other")
                .help("state the value under which both are"),
                (leaf.span, "another value"),
            ),
            (Under::Fixed(_, value), Under::EveryTag | Under::Tags(_))
            | (Under::EveryTag | Under::Tags(_), Under::Fixed(_, value))
                if model.caches.hold(CachedKind::Walk, config) =>
            {
                let (fixed, other) = if matches!(leaf.value, Under::Fixed(..)) { (leaf, walk) } else { (walk, leaf) };
                (
                    Diagnostic::new(
                        Code::E0512,
                        other.span,
                        format!("entries of one kind are under {value} alone, and these of the kernel are not{when}"),
                    )
                    .note("if entries have the tag that is loaded, both kinds do, and a flush of one value would leave the others")
                    .help("state the value for both kinds, or that both are `under every tag`"),
                    (fixed.span, "one value alone"),
                )
            }
            (Under::Fixed(_, value), _) | (_, Under::Fixed(_, value)) => {
                let Some(tag) = tags_in(model, config).find(|tag| gives_out(model, tag, *value, config)) else {
                    continue;
                };
                let span = if matches!(leaf.value, Under::Fixed(..)) { leaf.span } else { walk.span };
                (
                    Diagnostic::new(
                        Code::E0512,
                        span,
                        format!("{value} is a value of `{}` that user spaces get as well{when}", tag.named.name),
                    )
                    .note("a flush of one would drop entries of the other, and an instruction that drops `user tags` would leave entries of a user space")
                    .help("reserve the value: `values` without it, or `reserved`"),
                    (tag.values.map_or(tag.named.span, |at| at.span), "what user spaces get"),
                )
            }
            _ => continue,
        };
        found.push(diagnostic.label("the kernel's").because(fact.0, fact.1));
        return;
    }
}

/// Returns whether some view of a user space can have that value of a tag.
fn gives_out(model: &Model, tag: &Tag, value: u64, config: impl Machine) -> bool {
    let views = model
        .user
        .views
        .iter()
        .filter(|view| view.when.holds(config));
    let bits: Vec<u64> = views.map(|view| view.or).collect();
    let all = bits.iter().fold(0, |all, or| all | or);
    let (least, most) = tag.range();
    let given = |or: &u64| {
        let whole = value & !all;
        value & all == *or && (least..=most).contains(&whole)
    };
    tag.is_root.is_none() && bits.iter().any(given)
}

/// Checks E0513: on every machine one view of a space is loaded while the kernel runs.
pub fn views(model: &Model, found: &mut Vec<Diagnostic>) {
    for space in [&model.user, &model.kernel] {
        let configs = Configs::of(model, space.views.iter().map(|view| &view.when));
        for config in configs.iter() {
            let loaded = space
                .views
                .iter()
                .filter(|view| view.loaded && view.when.holds(config));
            let loaded: Vec<_> = loaded.collect();
            let when = configs.when(config);
            let finding = |span, message: String| Diagnostic::new(Code::E0513, span, message);
            let diagnostic = match loaded.as_slice() {
                [_] => continue,
                [] => finding(
                    space.views.first().map_or(space.span, |view| view.named.span),
                    format!("no view of the space is loaded while the kernel runs{when}"),
                )
                .label("not marked as `loaded`, or does not exist")
                .because(space.span, "a CPU in the kernel has a root and a tag loaded")
                .note("instructions on the loaded tag would cover no view")
                .help("write `loaded` after the view with which the kernel runs"),
                [first, second, ..] => finding(
                    second.named.span,
                    format!("two views of the space are loaded at once{when}"),
                )
                .label("loaded as well")
                .because(first.named.span, "loaded")
                .note("a CPU has one root and one tag loaded, so an instruction on the loaded tag covers one view only")
                .help("write `loaded` after the view with which the kernel runs, and after no other"),
            };
            found.push(diagnostic);
            break;
        }
    }
}

/// Checks E0307: a space has addresses on every machine; they are at least one page, and begin at a multiple of their
/// number.
pub fn address_ranges(model: &Model, found: &mut Vec<Diagnostic>) {
    let least = model
        .geometries
        .iter()
        .map(|geometry| geometry.page_shift)
        .min();
    for space in [&model.user, &model.kernel] {
        let configs = Configs::of(model, space.addresses.conds());
        let without = configs
            .iter()
            .find(|config| space.addresses.get(*config).is_none());
        if let Some(config) = without {
            let message = format!("the space has no addresses{}", configs.when(config));
            found.push(
                Diagnostic::new(Code::E0307, space.addresses.span, message)
                    .label("none of these counts")
                    .help("put addresses without a condition first"),
            );
        }
        for (addresses, _) in &space.addresses.cases {
            let beyond = addresses.bits < 64 && addresses.base & ((1 << addresses.bits) - 1) != 0;
            let (message, help) = if least.is_some_and(|page| addresses.bits < page) {
                (
                    format!("addresses of {} bits are less than a page", addresses.bits),
                    "write the number of bits of an address that differ within the space",
                )
            } else if beyond {
                (
                    format!(
                        "{:#x} is not a multiple of 2^{}",
                        addresses.base, addresses.bits
                    ),
                    "write the first address of the space, and how many bits follow",
                )
            } else {
                continue;
            };
            let span = space.addresses.span;
            found.push(
                Diagnostic::new(Code::E0307, span, message)
                    .label("not possible")
                    .help(help),
            );
        }
    }
}

/// Checks E0514: no address belongs to the kernel and to a user space under the same tag.
pub fn addresses(model: &Model, found: &mut Vec<Diagnostic>) {
    let (user, kernel) = (&model.user, &model.kernel);
    let of_addresses = user.addresses.conds().chain(kernel.addresses.conds());
    let configs = Configs::of(model, of_addresses.chain(conds_of_tags(model)));
    for config in configs.iter() {
        let both = (user.addresses.get(config), kernel.addresses.get(config));
        let (Some(low), Some(high)) = both else {
            continue;
        };
        let Some(under) = shared(model, config).filter(|_| overlap(*low, *high)) else {
            continue;
        };
        found.push(
            Diagnostic::new(
                Code::E0514,
                kernel.addresses.span,
                format!(
                    "addresses of the kernel are addresses of user spaces{}",
                    configs.when(config)
                ),
            )
            .label("the kernel's")
            .because(user.addresses.span, "those of user spaces")
            .because(under.span, "no tag tells their entries apart")
            .note("a user space would use translations of the kernel, or the kernel those of a user space")
            .help("correct one of the two, or say that the kernel has a tag of its own"),
        );
        return;
    }
}

/// Returns the conditions on which the tags of the kernel and of user spaces depend, and what is cached under them.
pub fn conds_of_tags(model: &Model) -> impl Iterator<Item = &Cond> {
    let spaces = [&model.user, &model.kernel].into_iter();
    let under = spaces.flat_map(|space| space.leaf.conds().chain(space.walk.conds()));
    let tags = model.tags.iter().map(|tag| &tag.when);
    let views = model.user.views.iter().map(|view| &view.when);
    under.chain(tags).chain(views).chain(model.caches.conds())
}

/// Returns under what entries of the kernel are cached, if entries of user spaces can be under the same.
pub fn shared(model: &Model, config: impl Machine) -> Option<&At<Under>> {
    let kernel = &model.kernel;
    let cases = [
        (&kernel.leaf, [CachedKind::Leaf, CachedKind::Negative]),
        (&kernel.walk, [CachedKind::Walk, CachedKind::Root]),
    ];
    let cached = |kind: &CachedKind| model.caches.hold(*kind, config);
    let cases = cases.iter().filter(|(_, kinds)| kinds.iter().any(cached));
    let mut under = cases.filter_map(|(cases, _)| cases.get(config));
    under.find(|at| match at.value {
        Under::Global | Under::EveryTag => true,
        Under::Fixed(_, value) => {
            tags_in(model, config).any(|tag| gives_out(model, tag, value, config))
        }
        Under::Tags(_) => false,
    })
}

fn overlap(a: SpaceAddresses, b: SpaceAddresses) -> bool {
    a.base <= b.last && b.base <= a.last
}

/// Checks E0515: a value of the tag is left for the kernel's own root.
pub fn value_left(model: &Model, found: &mut Vec<Diagnostic>) {
    let configs = Configs::of(model, model.tags.iter().map(|tag| &tag.when));
    for config in configs.iter() {
        let handed_out = tags_in(model, config).filter(|tag| tag.is_root.is_none());
        let mut tags: Vec<_> = handed_out.collect();
        let narrowest = |tag: &Tag| tag.within(tag.widths.0);
        tags.sort_by_key(|tag| narrowest(tag));
        let Some(first) = tags.first() else { continue };
        let most = u64::MAX >> (64 - first.widths.0.clamp(1, 64));
        let mut next = 0;
        for tag in &tags {
            let (least, last) = narrowest(tag);
            if least <= next {
                next = next.max(last.saturating_add(1));
            }
        }
        if next <= most {
            continue;
        }
        let span = first.values.map_or(first.named.span, |at| at.span);
        found.push(
            Diagnostic::new(
                Code::E0515,
                span,
                format!(
                    "spaces get every value of the tag `{}`{}",
                    first.named.name,
                    configs.when(config)
                ),
            )
            .label("none is left")
            .because(first.bits.span, format!("0 to {most}"))
            .note("a CPU that runs no user space has the kernel's root loaded under a value of the tag; a space with that value would use entries made then")
            .help("reserve one: `reserved 0;`, or `values 1..` the largest"),
        );
        return;
    }
}
