import { defineConfig } from "vite";

export default defineConfig({ root: "tests/page", base: "./", build: { emptyOutDir: true, target: "es2023" } });
