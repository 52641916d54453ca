package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// zipAim is how large the function's zip may be, compared with hello-world's.
const zipAim = 1.7

// zipSize builds the function and hello-world for both architectures of Lambda
// and for this machine, and compares the zips as "make zip" makes them. The same
// sources make the same bytes, so once is enough.
func (b *bench) zipSize(ctx context.Context) (figures []figure, err error) {
	zipper := filepath.Join(b.dir, "build-lambda-zip")
	if err := b.runGo(ctx, nil, "build", "-o", zipper, zipPackage); err != nil {
		return nil, err
	}
	for _, arch := range []string{"arm64", "amd64"} {
		ours := sample{name: "zip for " + arch + ": function", unit: "kB"}
		hello := sample{name: "zip for " + arch + ": hello-world", unit: "kB"}
		for pkg, sizes := range map[string]*sample{functionPackage: &ours, helloPackage: &hello} {
			binary, err := b.build(ctx, pkg, "linux", arch)
			if err != nil {
				return nil, err
			}
			if err := execute(ctx, os.Environ(), zipper, "-o", binary+".zip", binary); err != nil {
				return nil, err
			}
			zip, err := os.Stat(binary + ".zip")
			if err != nil {
				return nil, err
			}
			sizes.add(float64(zip.Size()) / 1000)
		}
		figures = append(figures, timesAsMuch("deployment zip, "+arch, "hello-world on aws-lambda-go", ours, hello, zipAim))
	}

	if b.function, err = b.deploy(ctx, functionPackage); err != nil {
		return nil, fmt.Errorf("for this machine: %w", err)
	}
	b.hello, err = b.deploy(ctx, helloPackage)
	return figures, err
}
