//! Configurations of a definition: all of them, by the words of a line, and as such a line.

use tlbc::model::{Config, Model};

/// A machine: a configuration and its limits.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Geometry, features and errata.
    pub config: Config,
    /// The limits, by index.
    pub limits: Vec<u64>,
}

/// Returns the machine of a line such as `g16k ttl ranges repeat_tlbi` or `pge pcid invpcid invlpgb invlpgb_pages=8`.
/// Without a geometry in the line it has the first one.
pub fn machine(model: &Model, words: &str) -> Machine {
    let mut config = Config::default();
    let mut limits: Vec<u64> = model.limits.iter().map(|limit| limit.least).collect();
    for word in words.split_whitespace() {
        let named = |name: &str| name == word;
        let geometry = model.geometries.iter().position(|g| named(&g.named.name));
        let feature = model.features.iter().position(|f| named(&f.named.name));
        let erratum = model.errata.iter().position(|e| named(&e.named.name));
        let limit = word.split_once('=').and_then(|(name, value)| {
            let index = model.limits.iter().position(|l| l.named.name == name)?;
            Some((index, value.parse().ok()?))
        });
        match (geometry, feature, erratum, limit) {
            (Some(geometry), ..) => config.geometry = geometry,
            (_, Some(feature), ..) => config.features |= 1 << feature,
            (_, _, Some(erratum), _) => config.errata |= 1 << erratum,
            (.., Some((limit, value))) => limits[limit] = value,
            _ => panic!("`{word}` is no word of a machine"),
        }
    }
    assert!(model.possible(config), "no machine is `{words}`");
    Machine { config, limits }
}

/// Returns the words of a configuration.
pub fn words(model: &Model, config: Config) -> String {
    let geometry = std::iter::once(&model.geometries[config.geometry].named.name);
    let features = model.features.iter().enumerate();
    let features = features.filter(|(index, _)| config.has(*index));
    let errata = model.errata.iter().enumerate();
    let errata = errata.filter(|(index, _)| config.suffers(*index));
    let names = geometry
        .chain(features.map(|(_, it)| &it.named.name))
        .chain(errata.map(|(_, it)| &it.named.name));
    names.map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Returns every configuration, possible or not.
pub fn all(model: &Model) -> impl Iterator<Item = Config> {
    let features = 0..1u32 << model.features.len();
    let errata = 1u32 << model.errata.len();
    let geometries = model.geometries.len();
    features.flat_map(move |features| {
        (0..errata).flat_map(move |errata| {
            (0..geometries).map(move |geometry| Config {
                features,
                errata,
                geometry,
            })
        })
    })
}

/// Returns every possible configuration.
pub fn possible(model: &Model) -> impl Iterator<Item = Config> {
    all(model).filter(|config| model.possible(*config))
}
