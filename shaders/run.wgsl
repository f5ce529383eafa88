// What a batch is told: the seed, where its indices begin, and where its images go.
//
// Joined in front: nothing.

struct Run {
    seed: vec2<u32>,   // low, high
    first: vec2<u32>,  // index of the batch's first image: low, high
    place: u32,        // number of the batch's first image among all that are presented
    side: u32,         // height and width of a presented image
    ticket: vec2<u32>, // of the batch: low, high; 0 for a recording
}

@group(0) @binding(0) var<storage, read> run: Run;

// Index of an image of the batch: low, high.
fn index_of(image: u32) -> vec2<u32> {
    let low = run.first.x + image;
    return vec2(low, run.first.y + select(0u, 1u, low < image));
}

