// Comparing without telling by its duration how much was right.
export async function isSame(given: string, wanted: string): Promise<boolean> {
  const encoder = new TextEncoder();
  const [one, other] = await Promise.all([given, wanted].map((text) => crypto.subtle.digest("SHA-256", encoder.encode(text))));
  return crypto.subtle.timingSafeEqual(one as ArrayBuffer, other as ArrayBuffer);
}

export function newPass(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
