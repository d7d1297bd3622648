declare module "jsbarcode/bin/barcodes/CODE128/CODE128_AUTO.js" {
  const encoder: {
    default: new (text: string, options: { ean128: boolean }) => { encode(): { data: string } };
  };
  export default encoder;
}
