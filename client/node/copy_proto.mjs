// Copies the contract into the package, which carries its own.
import { cpSync, existsSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const source = fileURLToPath(new URL("../../proto/dropout", import.meta.url));
const target = fileURLToPath(new URL("./proto/dropout", import.meta.url));
if (existsSync(source)) {
  rmSync(target, { recursive: true, force: true });
  cpSync(source, target, { recursive: true });
}
