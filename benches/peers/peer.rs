//! `fsvae` for benches/peers: makes batches when it is told to, and says how long each took.
//!
//! `peer --backend cpu|ADAPTER [--batch B] [--model PATH] [--naive]` (`RAYON_NUM_THREADS` are the CPU's) prints `ready NAME`; then, for each
//! line with a number on standard input, that many batches' times in nanoseconds, end to end.

#[path = "../ladder/naive.rs"]
mod naive;

use std::error::Error;
use std::io::{BufRead, Write};
use std::num::NonZeroUsize;
use std::time::Instant;

use clap::Parser;
use fsvae::{Checkpoint, Generator, Gpu, Network, gpu};
use naive::Naive;

#[derive(Parser)]
struct Arguments {
    /// cpu, or text of a GPU adapter's name
    #[arg(long)]
    backend: String,
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// A checkpoint; the bundled mnist if there is none
    #[arg(long)]
    model: Option<String>,
    /// The naive path instead of the library's
    #[arg(long)]
    naive: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let network = match &arguments.model {
        Some(path) => Network::open(path)?,
        None => Network::new(&Checkpoint::bundled("mnist").ok_or("mnist is bundled")??)?,
    };
    let batch = arguments.batch;
    let builder = Generator::builder(&network).batch(NonZeroUsize::new(batch).ok_or("--batch is 0")?);
    let (name, mut make): (String, Box<dyn FnMut(u64) -> Vec<u8>>) = if arguments.backend == "cpu" {
        let mut generator = builder.cpu();
        (
            format!("CPU, {} threads", fsvae::threads()?),
            Box::new(move |first| pixels(&mut generator, first, batch)),
        )
    } else {
        let adapters = pollster::block_on(gpu::adapters());
        let adapter = gpu::find_adapter(&adapters, &arguments.backend)?;
        let name = gpu::describe(&adapter.get_info());
        if arguments.naive {
            let mut naive = Naive::new(adapter, &network, batch);
            (format!("{name}, naive"), Box::new(move |first| naive.generate(7, first)))
        } else {
            let device = pollster::block_on(Gpu::request(adapter, &gpu::required_limits(&network)))?;
            let size = NonZeroUsize::new(batch).unwrap_or(NonZeroUsize::MIN);
            let variant = gpu::calibrate(&device, &network, size);
            let variant = pollster::block_on(variant)?.best;
            let mut generator = pollster::block_on(builder.variants(variant).gpu(&device))?;
            (format!("{name}, {variant}"), Box::new(move |first| pixels(&mut generator, first, batch)))
        }
    };
    for first in 0..3 {
        make(first * batch as u64);
    }
    println!("ready {name}");
    let mut first = 0;
    for line in std::io::stdin().lock().lines() {
        let mut times = Vec::new();
        for _ in 0..line?.trim().parse::<usize>()? {
            let start = Instant::now();
            let made = make(first);
            times.push(start.elapsed().as_nanos().to_string());
            assert_eq!(made.len(), batch * network.architecture().image_bytes());
            first += batch as u64;
        }
        println!("{}", times.join(" "));
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn pixels(generator: &mut Generator, first: u64, batch: usize) -> Vec<u8> {
    generator.generate(7, first..first + batch as u64).expect("images").into_bytes()
}
