// Whether a file can be a photo at all: told from its size and its first bytes, before any of it is sent.

const BEGINNINGS = [
  [0xff, 0xd8, 0xff],
  [0x89, 0x50, 0x4e, 0x47],
  [0x47, 0x49, 0x46, 0x38],
  [0x42, 0x4d],
  [0x49, 0x49, 0x2a, 0x00],
  [0x4d, 0x4d, 0x00, 0x2a],
];
const HEIF_BRANDS = ["heic", "heix", "heim", "heis", "hevc", "hevm", "hevs", "mif1", "msf1"];
const KINDS = "JPEG, PNG, WebP, GIF, BMP, TIFF or HEIC";

// An Error that says why the file is refused, or null.
export async function objection(file, bytesMax) {
  if (bytesMax && file.size > bytesMax) return refusal(`it has ${megabytes(file.size)}, and at most ${megabytes(bytesMax)} can be taken`, "Make it smaller and try again.");
  if (!file.size) return refusal("it is empty, or a folder", "Choose the photos in it instead.");
  let head;
  try {
    head = new Uint8Array(await file.slice(0, 16).arrayBuffer());
  } catch {
    return refusal("it cannot be read", "Choose the photos themselves; a folder cannot be dropped.");
  }
  const text = String.fromCharCode(...head);
  if (text.startsWith("%PDF")) return refusal("it is a PDF, not a photo", `Take a ${KINDS} file.`);
  const isPhoto =
    BEGINNINGS.some((bytes) => bytes.every((byte, place) => head[place] === byte)) ||
    (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") ||
    (text.slice(4, 8) === "ftyp" && HEIF_BRANDS.includes(text.slice(8, 12)));
  return isPhoto ? null : refusal("it is no photo that can be read", `Take a ${KINDS} file.`);
}

function refusal(message, remedy) {
  return Object.assign(new Error(message), { remedy, refused: true });
}

export function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
